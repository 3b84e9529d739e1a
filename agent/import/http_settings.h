// How another agent logs in to a server, and what it sends along: the same keys for what it writes to
// and for what it scrapes.
#pragma once

#include <string>
#include <string_view>

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

inline constexpr std::string_view kNoLogin =
    "msp-agent logs in with basic_auth, a bearer token or a client certificate only; without one "
    "of them the endpoint will answer 401";

/// basic_auth, bearer_token(_file), authorization.
void read_login(MappingReader& part, ImportedHttp& out);

/// A probe may have a Host and a Content-Type of its own.
enum class HeadersOf { request, probe };

/// Headers and certificates.
void read_http(MappingReader& part, ConvertContext& context, ImportedHttp& out,
               HeadersOf headers = HeadersOf::request);

/// The file of a certificate or its key: what `file_key` names, or what `pem_key` is the content of.
/// Empty: neither; a text that stands in the configuration itself is noted, with our key of the file.
std::string certificate_path(MappingReader& part, std::string_view pem_key,
                             std::string_view file_key);

}  // namespace msp::import
