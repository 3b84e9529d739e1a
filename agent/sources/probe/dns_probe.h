// Asks a name server, and looks at what it answers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/filter.h"
#include "agent/sources/probe/dns_query.h"
#include "agent/sources/probe/probe.h"

namespace msp::sources {

class DnsProbe final : public Probe {
 public:
  /// Expressions about the records of a section, as text.
  struct Rules {
    std::vector<Filter> forbidden = {};     // that no record may match
    std::vector<Filter> required = {};      // that every record must match, and there is one
    std::vector<Filter> one_required = {};  // of which some record must match one

    bool empty() const { return forbidden.empty() && required.empty() && one_required.empty(); }
  };

  struct Setup {
    DnsQuestion question;
    bool uses_tcp = false;
    std::vector<std::uint16_t> valid_rcodes = {};  // empty: NOERROR
    std::array<Rules, 3> rules = {};               // by DnsAnswer::Section
    http::IpFamily preferred_ip = http::IpFamily::any;
  };

  /// The URL of `http` has the host and the port of the name server.
  DnsProbe(SourceOptions&& options, const http::HttpOptions& http, Setup&& setup,
           http::Transfers& transfers, Clock& clock);

 private:
  http::HttpRequest request() override;
  std::string judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                    metrics::SeriesWriter& out) override;
  std::string problem_of(const DnsAnswer& answer) const;

  const Setup setup_;
  std::shared_ptr<DnsQuery> query_;  // of the request under way
};

}  // namespace msp::sources
