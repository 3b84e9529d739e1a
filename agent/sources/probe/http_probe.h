// One HTTP request and what its answer should be.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "agent/base/filter.h"
#include "agent/sources/probe/probe.h"

namespace msp::sources {

class HttpProbe final : public Probe {
 public:
  struct Setup {
    std::string method = "GET";
    std::string body = {};
    std::vector<int> valid_status_codes = {};  // empty: 2xx
    bool fails_if_ssl = false;
    bool fails_if_not_ssl = false;
    // Expressions that no part of the body may match, or some part must.
    std::vector<Filter> forbidden = {};
    std::vector<Filter> required = {};
    std::size_t body_bytes_max = 8 << 20;
    http::IpFamily preferred_ip = http::IpFamily::any;
  };

  HttpProbe(SourceOptions&& options, const http::HttpOptions& http, Setup&& setup,
            http::Transfers& transfers, Clock& clock);

 private:
  http::HttpRequest request() override;
  std::string body() const override { return setup_.body; }
  std::string judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                    metrics::SeriesWriter& out) override;
  std::string problem_of(const http::HttpAnswer& answer, const http::HttpTrace& trace,
                         bool& is_regex) const;

  const Setup setup_;
};

}  // namespace msp::sources
