#!/bin/sh
# Runs one command whose lines "ok NAME" and "FAILED NAME" count; one that ends badly without a word has failed as well,
# and so has one that runs no test and does not say "NAME: skipped, for REASON".
# What it says is shown at its end, in one piece, for several run at a time.
#
#   sh tests/support/run_test.sh NAME COMMAND...     with $MSP_RESULTS, the file that collects what counts, and
#                                                  $MSP_TIMES, the one of the seconds that each took, of a clock and
#                                                  of processors
set -eu
name=$1
shift
output=$(mktemp)
trap 'rm -f "$output"' EXIT
# g++ 12's sanitizers need an address space less random than that of today's kernels.
plain_addresses=
if setarch -R true 2>/dev/null; then plain_addresses='setarch -R'; fi
code=0
began=$(date +%s)
# Long enough for a machine that has other things to do: it ends what hangs, and judges nobody.
timeout --kill-after=10 1800 $plain_addresses "$@" >"$output" 2>&1 || code=$?
if ! grep -q '^FAILED ' "$output"; then
  if [ "$code" -ne 0 ]; then
    echo "FAILED $name: ended with exit code $code" >>"$output"
  elif ! grep -qE '^ok |: skipped, for ' "$output"; then
    echo "FAILED $name: ran no test" >>"$output"
  fi
fi
cat "$output"
grep -E '^(ok|FAILED) ' "$output" >>"$MSP_RESULTS" || true
times >"$output"
cpu=$(awk -f "$(dirname "$0")/cpu_seconds.awk" "$output")
echo "$(($(date +%s) - began)) s (CPU $cpu s) $name" >>"$MSP_TIMES"
