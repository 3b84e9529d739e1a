// Who the agent says it is: the Authorization header of one request, made from the options and the
// files that they name. The files are read for every request, so that a rotated secret is in
// force at once, and what was read is wiped when the request is over.
#pragma once

#include <string>

#include "agent/base/result.h"
#include "agent/http/options.h"
#include "agent/http/wiped_memory.h"

namespace msp::http {

struct Login {
  Secret line{0};    // "Authorization: Bearer .."; empty: nobody is to log in
  Secret secret{0};  // the password or token in it
};

/// Any error names the file.
Result<Login> log_in(const HttpOptions& options);

/// Overwrites in `text`, which a server or a proxy wrote, `login` and every secret of the options.
void hide_secrets(std::string& text, const HttpOptions& options, const Login& login);

}  // namespace msp::http
