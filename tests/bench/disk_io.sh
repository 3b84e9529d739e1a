#!/bin/sh
# What a good day costs on disk: runs the agent at 15 s against a local VictoriaMetrics, its runtime directory on a
# memory-backed file system, and prints by how much write_bytes and cancelled_write_bytes of /proc/PID/io grow.
#
#   sh tests/bench/disk_io.sh MINUTES [URL]     URL: http://127.0.0.1:8428/api/v1/write
#
# Exits 1 when more than 100 KB per hour reached the disk.
set -eu
cd "$(dirname "$0")/../.."

minutes=${1:?how many minutes}
url=${2:-http://127.0.0.1:8428/api/v1/write}
folder=$(mktemp -d "$PWD/build/disk-io-XXXXXX")
runtime=$(mktemp -d /dev/shm/msp-agent-disk-io-XXXXXX)
agent_pid=
finish() {
  [ -z "$agent_pid" ] || { kill "$agent_pid" 2>/dev/null && wait "$agent_pid" 2>/dev/null; } || true
  rm -rf "$folder" "$runtime"
}
trap finish EXIT
trap 'exit 130' INT TERM

cat >"$folder/msp-agent.yaml" <<YAML
customer_id: bench
interval: 15s
remote_write:
  url: $url
buffer:
  path: $folder/buffer
YAML
RUNTIME_DIRECTORY=$runtime build/release/msp-agent --config "$folder/msp-agent.yaml" 2>/dev/null &
agent_pid=$!
sleep 20 # the start is not the day
io() { sed -n "s/^$1: //p" "/proc/$agent_pid/io"; }
written=$(io write_bytes)
cancelled=$(io cancelled_write_bytes)
sleep $((minutes * 60))
written=$(($(io write_bytes) - written))
cancelled=$(($(io cancelled_write_bytes) - cancelled))
echo "in $minutes minutes: write_bytes +$written, cancelled_write_bytes +$cancelled"
[ $((written * 60 / minutes)) -le 100000 ]
