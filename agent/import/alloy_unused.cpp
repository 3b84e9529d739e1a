#include "agent/import/alloy_unused.h"

namespace msp::import {

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
      {"prometheus.remote_write", kNotOnTheWay},
      {"prometheus.relabel", kNotOnTheWay},
      {"discovery.relabel", kNotOnTheWay},
      {"otelcol.", "OpenTelemetry; msp-agent sends this host's metrics only, keep Alloy for it"},
      {"prometheus.exporter.unix", "no prometheus.scrape reads it"},
      {"prometheus.exporter.self",
       "Alloy's own metrics; msp-agent reports on itself as msp_agent_*"},
      {"prometheus.exporter.mysql",
       "install prometheus-mysqld-exporter on this host, and scrape it: scrape: [{job: "
       "integrations/mysql, targets: ['127.0.0.1:9104']}]"},
      {"prometheus.exporter.redis",
       "install prometheus-redis-exporter on this host, and scrape it: scrape: [{job: "
       "integrations/redis, targets: ['127.0.0.1:9121']}]"},
      {"prometheus.exporter.postgres",
       "install prometheus-postgres-exporter on this host, and scrape it: scrape: [{job: "
       "integrations/postgres, targets: ['127.0.0.1:9187']}]"},
      {"prometheus.exporter.memcached",
       "install prometheus-memcached-exporter on this host, and scrape it: scrape: [{job: "
       "integrations/memcached, targets: ['127.0.0.1:9150']}]"},
      {"prometheus.exporter.mongodb",
       "install prometheus-mongodb-exporter on this host, and scrape it: scrape: [{job: "
       "integrations/mongodb, targets: ['127.0.0.1:9216']}]"},
      {"prometheus.exporter.elasticsearch",
       "install prometheus-elasticsearch-exporter on this host, and scrape it: scrape: [{job: "
       "integrations/elasticsearch, targets: ['127.0.0.1:9114']}]"},
      {"prometheus.exporter.apache",
       "install prometheus-apache-exporter on this host, and scrape it: scrape: [{job: "
       "integrations/apache, targets: ['127.0.0.1:9117']}]"},
      {"prometheus.exporter.process", "no prometheus.scrape reads it"},
      {"prometheus.exporter.blackbox", "no prometheus.scrape reads it"},
      {"prometheus.exporter.cadvisor",
       "the collector containers sends what each container uses, with cAdvisor's names and this "
       "host's "
       "job; for more, run cAdvisor on this host, and scrape it: scrape: [{job: "
       "integrations/cadvisor, "
       "targets: ['127.0.0.1:8080']}]"},
      {"prometheus.exporter.",
       "msp-agent does not have it; scrape an exporter of its own, or keep Alloy for it"},
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

}  // namespace msp::import
