#include "agent/cli/listen_check.h"

#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/http/auth.h"
#include "agent/http/tls/server.h"
#include "agent/listen/address.h"

namespace msp::cli {
namespace {

constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::int64_t kDaysLeftMin = 14;

Step address_step(const std::string& address) {
  Step step{.name = "listen", .text = cat(address, " can be listened at")};
  const auto parsed = listen::parse_listen_address(address);
  // To try a socket would take the place of its file.
  if (!parsed || parsed->family == listen::ListenAddress::Family::unix_socket) {
    step.text = cat(address, ", not tried");
  } else if (const auto listening = listen::listen_at(*parsed); !listening) {
    step.verdict = Verdict::note;
    step.text = cat(listening.error().text, "; if that is the running agent, all is well");
  }
  return step;
}

Step certificate_step(const http::TlsOptions& tls) {
  http::TlsServer server(tls);
  if (const auto loaded = server.load(); !loaded) {
    return {.name = "listen", .verdict = Verdict::failed, .text = loaded.error().text};
  }
  const auto days = (server.not_after_s() - wall_ns() / kNsPerSecond) / kSecondsPerDay;
  Step step{.name = "listen",
            .text = cat("the certificate of tls.cert_file, ", days,
                        days == 1 ? " day left" : " days left"),
            .facts = {{"days_left", days}}};
  if (days < kDaysLeftMin) {
    step.verdict = Verdict::warning;
    step.text += ": renew it before it expires";
  }
  return step;
}

}  // namespace

void check_listen(const config::ListenConfig& listen, CheckReport& report) {
  if (listen.address.empty()) return;
  report.add(address_step(listen.address));
  if (!listen.tls.cert_file.empty()) report.add(certificate_step(listen.tls));
  std::size_t good = 0;
  std::string names;
  for (std::size_t i = 0; i < listen.clients.size(); ++i) {
    const auto& client = listen.clients[i];
    if (const auto login = http::log_in(client); !login) {
      report.add({.name = "listen",
                  .verdict = Verdict::failed,
                  .text = cat("client ", client.name(i), ": ", login.error().text)});
      continue;
    }
    ++good;
    names += cat(names.empty() ? "" : ", ", client.name(i));
    if (listen.receive && client.labels.empty()) names += " (as whomever: it has no labels)";
  }
  if (good > 0) {
    report.add({.name = "listen",
                .text = cat(good, good == 1 ? " client can" : " clients can", " log in: ", names)});
  }
}

}  // namespace msp::cli
