#!/bin/sh
# From a checkout on Debian or Ubuntu to this host's metrics in a VictoriaMetrics on this very host, with one command.
#
#   sh packaging/quickstart.sh              until Ctrl-C
#   sh packaging/quickstart.sh --for 60s    ends by itself
#   sh packaging/quickstart.sh --graph      with a page that draws graphs: a Prometheus gets the samples as well
#   sh packaging/quickstart.sh --fleet      not this host, but fourteen made-up servers of five customers, with the
#                                           rules of etc/central; as root; ends after 2 minutes, or as --for says
#
# It installs what is missing with apt-get, builds build/release/msp-agent, starts a VictoriaMetrics on 127.0.0.1:8428
# if none listens there, and runs the agent against it. What it writes is in build/quickstart; what it starts it ends.
# QUICKSTART_PORT is another port than 8428, QUICKSTART_GRAPH_PORT another than 9090 for the Prometheus.
set -eu
cd "$(dirname "$0")/.."

port=${QUICKSTART_PORT:-8428}
server=http://127.0.0.1:$port
folder=build/quickstart
graph_port=${QUICKSTART_GRAPH_PORT:-9090}
graph=
fleet=
vmalert_pid=
agent_pid=
victoria_pid=
prometheus_pid=
timer_pid=

say() { printf '%s\n' "$*"; }

fail() { # what went wrong, what to do
  printf 'quickstart: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

usage() {
  sed -n 's/^#   //p' "$0" >&2
  exit 2
}

end() { # pid or nothing
  [ -n "$1" ] && kill "$1" 2>/dev/null || return 0
  wait "$1" 2>/dev/null || true
}

# Ends what was started here, the agent first so that it can deliver its last samples.
finish() {
  trap '' INT TERM
  end "$timer_pid"
  end "$agent_pid"
  end "$vmalert_pid"
  end "$prometheus_pid"
  end "$victoria_pid"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now_ms() { date +%s%3N; }

ask() { # PromQL: the value of the first result, or nothing
  curl -fsS --max-time 5 "$server/api/v1/query" --data-urlencode "query=$1" --data nocache=1 2>/dev/null |
    sed -n 's/.*"value":\[[^,]*,"\([^"]*\)"\].*/\1/p'
}

answers() { curl -fsS --max-time 2 -o /dev/null "$server/api/v1/query?query=1" 2>/dev/null; }

seconds=
while [ $# -gt 0 ]; do
  case $1 in
    --for)
      [ $# -ge 2 ] || usage
      seconds=${2%s}
      case ${2%m} in "$2" | *[!0-9]*) ;; *) seconds=$((${2%m} * 60)) ;; esac
      case $seconds in
        '' | *[!0-9]*) fail "--for $2: expected a number of seconds or minutes, such as 60s or 2m" ;;
      esac
      shift
      ;;
    --graph) graph=http://127.0.0.1:$graph_port ;;
    --fleet) fleet=yes ;;
    *) usage ;;
  esac
  shift
done

build() {
  if [ -n "$graph" ]; then what=graph; else what=demo; fi
  sh packaging/dependencies.sh $what || exit 1
  mkdir -p "$folder"
  [ -x build/release/msp-agent ] || say "Building build/release/msp-agent; the first time this takes some minutes."
  sh packaging/static_dependencies.sh --or-newest || exit 1
  if ! { cmake --preset release -DMSP_AGENT_TESTS=OFF && cmake --build --preset release --target msp-agent; } \
    >"$folder/build.log" 2>&1; then
    tail -n 20 "$folder/build.log" >&2
    fail "the build failed; all that it said is in $folder/build.log" \
      "an old build folder may be the reason: rm -r build/release, then run this again"
  fi
}

start_victoria_metrics() {
  if answers; then
    say "Using the VictoriaMetrics that listens on $server."
    return
  fi
  if ss -Hltn "sport = :$port" | grep -q .; then
    fail "something that is not VictoriaMetrics listens on port $port" \
      "stop it (ss -ltnp shows what it is), or choose another port: QUICKSTART_PORT=8429 sh packaging/quickstart.sh"
  fi
  # A session of its own: Ctrl-C is for the agent first.
  setsid victoria-metrics -httpListenAddr="127.0.0.1:$port" -storageDataPath="$folder/victoria-metrics" \
    -retentionPeriod=1 -search.latencyOffset=0s >"$folder/victoria-metrics.log" 2>&1 &
  victoria_pid=$!
  deadline=$(($(now_ms) + 30000))
  until answers; do
    if ! kill -0 "$victoria_pid" 2>/dev/null || [ "$(now_ms)" -gt "$deadline" ]; then
      tail -n 5 "$folder/victoria-metrics.log" >&2
      fail "VictoriaMetrics did not start; all that it said is in $folder/victoria-metrics.log" \
        "if its data is damaged: rm -r $folder/victoria-metrics, then run this again"
    fi
    sleep 0.1
  done
  say "Started VictoriaMetrics on $server, its data is in $folder/victoria-metrics."
}

# Debian's VictoriaMetrics comes without its page, Debian's Prometheus with one.
start_prometheus() {
  if ss -Hltn "sport = :$graph_port" | grep -q .; then
    fail "port $graph_port is taken, and --graph needs it" \
      "choose another: QUICKSTART_GRAPH_PORT=9091 sh packaging/quickstart.sh --graph"
  fi
  : >"$folder/prometheus.yml"
  setsid prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/prometheus" \
    --web.listen-address="127.0.0.1:$graph_port" --web.enable-remote-write-receiver >"$folder/prometheus.log" 2>&1 &
  prometheus_pid=$!
  deadline=$(($(now_ms) + 30000))
  until curl -fsS --max-time 2 -o /dev/null "$graph/-/ready" 2>/dev/null; do
    if ! kill -0 "$prometheus_pid" 2>/dev/null || [ "$(now_ms)" -gt "$deadline" ]; then
      tail -n 5 "$folder/prometheus.log" >&2
      fail "Prometheus did not start; all that it said is in $folder/prometheus.log"
    fi
    sleep 0.1
  done
  say "Started Prometheus on $graph, its data is in $folder/prometheus."
}

write_config() {
  name=$(uname -n | tr 'A-Z' 'a-z' | sed 's/[^a-z0-9-]/-/g; s/^-*//' | cut -c 1-63 | sed 's/-*$//')
  : "${name:=this-host}"
  mine="customer_id=\"quickstart\",server_name=\"$name\""
  cat >"$folder/msp-agent.yaml" <<YAML
customer_id: quickstart
server_name: $name
interval: 15s
buffer:
  path: $PWD/$folder/buffer
remote_write:
  - url: $server/api/v1/write
YAML
  [ -z "$graph" ] || cat >>"$folder/msp-agent.yaml" <<YAML
  - url: $graph/api/v1/write
    protocol: prometheus-1.0
YAML
}

# How many series have a sample since then, in milliseconds since 1970. No two questions are the same: VictoriaMetrics
# remembers for seconds that there was nothing to be found.
series_since() {
  curl -fsS --max-time 5 -G "$server/api/v1/export" --data-urlencode "match[]={$mine,__name__!=\"$asked\"}" \
    --data "start=${1%???}.${1#"${1%???}"}" 2>/dev/null | grep -c '"timestamps"' || true
}

run_agent() {
  say "Starting: build/release/msp-agent --config $folder/msp-agent.yaml"
  started_ms=$(now_ms)
  build/release/msp-agent --config "$folder/msp-agent.yaml" &
  agent_pid=$!
  if [ -n "$seconds" ]; then
    sleep "$seconds" &
    timer_pid=$!
  fi
  series=0
  asked=0
  until [ "$series" -gt 0 ]; do
    agent_is_up || fail "the agent ended; what it said above is the reason; mend that, then run this again"
    [ $(($(now_ms) - started_ms)) -lt 30000 ] ||
      fail "no sample arrived within 30 s" "what the agent says above and $folder/victoria-metrics.log say why"
    sleep 0.05
    asked=$((asked + 1))
    series=$(series_since "$started_ms")
  done
  arrived_ms=$(($(now_ms) - started_ms))
}

agent_is_up() { kill -0 "$agent_pid" 2>/dev/null; }

show() { # label, unit, query
  value=$(ask "$3")
  [ -z "$value" ] || printf '  %-20s %s %s\n' "$1" "$(printf '%.1f' "$value")" "$2"
}

show_levels() {
  say ""
  say "$series series of this host were there to be queried $arrived_ms ms after the start of the agent:"
  show 'memory used' '%' "(1 - node_memory_MemAvailable_bytes{$mine} / node_memory_MemTotal_bytes{$mine}) * 100"
  show 'disk / used' '%' "(1 - node_filesystem_avail_bytes{mountpoint=\"/\",$mine}
    / node_filesystem_size_bytes{mountpoint=\"/\",$mine}) * 100"
  show 'load, 1 minute' '' "node_load1{$mine}"
  show 'up since' 'hours' "node_uptime_seconds{$mine} / 3600"
}

show_rates() {
  show 'CPU used' '%' "(1 - avg(rate(node_cpu_seconds_total{mode=\"idle\",$mine}[1m]))) * 100"
  show 'network received' 'kB/s' "sum(rate(node_network_receive_bytes_total{device!=\"lo\",$mine}[1m])) / 1000"
  show 'network sent' 'kB/s' "sum(rate(node_network_transmit_bytes_total{device!=\"lo\",$mine}[1m])) / 1000"
}

show_how_to_look() {
  say ""
  if [ -n "$graph" ]; then
    say "Look at it:   $graph/graph?g0.expr=node_load1&g0.tab=0&g0.range_input=5m"
  elif curl -fsS --max-time 2 -o /dev/null "$server/vmui/" 2>/dev/null; then
    say "Look at it:   $server/vmui"
  else
    say "This VictoriaMetrics comes without its web page (Debian's does). Graphs:"
    say "  sh packaging/quickstart.sh --graph, or a Grafana with $server as a data source of type Prometheus"
    say "Numbers:"
    say "  curl '$server/api/v1/query?query=node_load1'"
  fi
  say "The samples:  build/release/msp-agent --config $folder/msp-agent.yaml --dry-run"
  if [ -n "$seconds" ]; then
    say "Ends by itself after $seconds s, or with Ctrl-C."
  else
    say "Ends with Ctrl-C."
  fi
  say ""
}

# The second tick: from then on there are rates.
await_rates() {
  until [ "$(ask "count_over_time(node_load1{$mine}[${1}s])")" -ge 2 ] 2>/dev/null; do
    if ! agent_is_up || { [ -n "$timer_pid" ] && ! kill -0 "$timer_pid" 2>/dev/null; }; then return 1; fi
    [ "$1" -lt 60 ] || return 1
    sleep 0.5
    set -- $((($(now_ms) - started_ms) / 1000 + 1))
  done
}

# One line for each result: the labels' values in order, then the value.
table() { # PromQL
  curl -fsS --max-time 5 "$server/api/v1/query" --data-urlencode "query=$1" --data nocache=1 2>/dev/null |
    python3 -c 'import json, sys
for result in json.load(sys.stdin)["data"]["result"]:
    print("  " + "  ".join([f"{value:10}" for _, value in sorted(result["metric"].items())]
                           + [format(float(result["value"][1]), ".0f")]))'
}

fleet_is_up() { kill -0 "$agent_pid" 2>/dev/null; }

run_fleet() {
  [ "$(id -u)" -eq 0 ] || fail "--fleet gives each server a mount namespace of its own: run it as root"
  : "${seconds:=120}"
  say "Starting fourteen agents for $seconds s; their files are in $folder/fleet."
  rm -rf "$folder/fleet"
  python3 packaging/central/fleet.py --agent build/release/msp-agent --url "$server/api/v1/write" \
    ${graph:+--url "$graph/api/v1/write"} --folder "$folder/fleet" --seconds "$seconds" --interval 5 &
  agent_pid=$!
  setsid vmalert -rule='etc/central/rules/*.yaml' -datasource.url="$server" -remoteWrite.url="$server" \
    -notifier.url=http://127.0.0.1:1 -httpListenAddr="127.0.0.1:0" >"$folder/vmalert.log" 2>&1 &
  vmalert_pid=$!
  here='customer_id,server_name'
  shown=
  cpu="100 * (1 - avg by ($here) (rate(node_cpu_seconds_total{mode=\"idle\",environment=\"demo\"}[20s])))"
  until [ "$(ask "count($cpu)")" = 14 ]; do
    fleet_is_up || break
    sleep 0.5
  done
  if fleet_is_up; then
    shown=yes
    say "Customer, server, CPU used in %:"
    table "sort($cpu)"
    say "Customer, server, disk used in %, over 80:"
    table "sum by ($here) (100 - 100 * node_filesystem_avail_bytes{environment=\"demo\"}
      / node_filesystem_size_bytes) > 80"
    say ""
    say "Look at it:   ${graph:-$server}${graph:+/graph?g0.expr=node_load1&g0.tab=0&g0.range_input=5m}"
    say "              a Grafana with it as a data source of type Prometheus shows etc/central/dashboards"
  fi
  code=0
  wait "$agent_pid" || code=$?
  agent_pid=
  say "Alerts that the rules saw:"
  table "sum by (alertname, customer_id, server_name, alertstate) (last_over_time(ALERTS[${seconds}s]))"
  [ "$code" -eq 0 ] && [ -n "$shown" ] || fail "the fleet did not run as it should; its logs are in $folder/fleet"
  servers=$(ask 'count(count by (customer_id, server_name) (last_over_time(up{environment="demo"}[1h])))')
  say "Done after $seconds s: $servers servers sent samples. The data stays in $folder."
}

build
start_victoria_metrics
[ -z "$graph" ] || start_prometheus
if [ -n "$fleet" ]; then
  run_fleet
  exit 0
fi
write_config
run_agent
show_levels
show_how_to_look
if await_rates 1; then
  say "With the second tick there are rates:"
  show_rates
fi
if [ -n "$timer_pid" ]; then
  wait "$timer_pid" || true
  timer_pid=
  agent_is_up || fail "the agent ended before its time, for the reason above; mend that, then run this again"
  end "$agent_pid"
  agent_pid=
  samples=$(ask "sum(count_over_time({$mine}[$((($(now_ms) - started_ms) / 1000 + 1))s]))")
  say "Done after $seconds s: $samples samples arrived. The data stays in $folder."
else
  code=0
  wait "$agent_pid" || code=$?
  [ "$code" -eq 0 ] || fail "the agent ended with exit code $code, for the reason above; mend that"
fi
