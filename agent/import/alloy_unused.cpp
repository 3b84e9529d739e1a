#include "agent/import/alloy_unused.h"

namespace msp {

std::string_view why_not_carried_over(std::string_view kind) {
  struct Reason {
    std::string_view kind;  // with a '.' at its end a family
    std::string_view text;
  };
  constexpr std::string_view kTraces =
      "traces and profiles; msp-agent sends this host's metrics only, keep Alloy for it";
  constexpr std::string_view kNotOnTheWay = "this host's metrics do not come through it";
  constexpr std::string_view kOnlyInAlloy =
      "what it makes exists only in Alloy; write it out where it is used";
  constexpr Reason kReasons[] = {
      {"loki.", "logs; msp-agent sends this host's metrics only, keep Alloy for it"},
      {"pyroscope.", kTraces},
      {"beyla.", kTraces},
      {"faro.", kTraces},
      {"tracing", kTraces},
      {"prometheus.receive_http",
       "msp-agent receives nothing; a relay stays with Alloy or vmagent"},
      {"prometheus.remote_write", kNotOnTheWay},
      {"prometheus.relabel", kNotOnTheWay},
      {"discovery.relabel", kNotOnTheWay},
      {"otelcol.", "OpenTelemetry; msp-agent sends this host's metrics only, keep Alloy for it"},
      {"prometheus.exporter.unix", "no prometheus.scrape reads it"},
      {"prometheus.exporter.self",
       "Alloy's own metrics; msp-agent reports on itself as msp_agent_*"},
      {"prometheus.exporter.", "msp-agent collects this host's metrics only, keep Alloy for it"},
      {"declare", kOnlyInAlloy},
      {"import.", kOnlyInAlloy},
      {"foreach", kOnlyInAlloy},
      {"remotecfg",
       "pipelines come from this server and are not in this file; convert what it has for this "
       "host as well"},
  };
  for (const auto& [name, text] : kReasons) {
    if (name.ends_with('.') ? kind.starts_with(name) : kind == name) return text;
  }
  return "msp-agent has nothing like it";
}

}  // namespace msp
