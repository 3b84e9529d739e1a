#!/bin/sh
# What msp-agent costs, on this machine: one table, and build/bench.json. Agents at 15 s over TLS with the presets
# minimal, standard and full, with a target, and with one request a minute; beside them the floor, the same files and
# mounts read without an agent; a tick's system calls; start, stop and start; buffer, encodings and catching up alone.
#
#   sh tests/bench.sh          4 minutes
#   sh tests/bench.sh --full   an hour at the real cadence
#
# On a quiet machine: load is printed first. tests/bench/service_cost.py measures packages under their unit; beside
# other agents, tests/bench/peers.py measures the host's metrics, scrape_peers.py targets, relay_bench.py a relay.
set -eu
cd "$(dirname "$0")/.."

sh packaging/dependencies.sh test
sh packaging/static_dependencies.sh --or-newest >&2
cmake --preset release -DMSP_AGENT_TESTS=ON >/dev/null
cmake --build --preset release --target msp-agent collect_bench codec_bench wire_bench catch_up_bench >&2
PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 exec python3 tests/bench/table.py "$@"
