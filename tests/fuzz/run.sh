#!/bin/sh
# Fuzzes parsers of foreign bytes with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer, one after the other.
# Prints for each how long it ran, how many inputs it made and how many features (edges, compared values) it has seen.
# What it keeps goes to build/fuzz/corpus/NAME, from which the next run goes on, failures to build/fuzz/findings. Exits
# 1 when something fails.
#
#   apt-get install libclang-rt-14-dev
#   sh tests/fuzz/run.sh SECONDS [NAME...]      segment alloy exposition dns bus request write: all of them by default
set -eu
cd "$(dirname "$0")/../.."

seconds=${1:?how many seconds for each}
shift
[ $# -gt 0 ] || set -- segment alloy exposition dns bus request write
targets=
for name in "$@"; do targets="$targets ${name}_fuzz"; done
cmake --preset fuzz >/dev/null
# shellcheck disable=SC2086  # words on purpose
cmake --build --preset fuzz --target $targets >&2

plain_addresses= # g++ 12's sanitizers need an address space less random than that of today's kernels
if setarch -R true 2>/dev/null; then plain_addresses='setarch -R'; fi
failed=0
for name in "$@"; do
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus" build/fuzz/findings
  case $name in
    exposition) pattern='*.prom' ;;
    alloy) pattern='*.alloy' ;;
    *) pattern= ;;
  esac
  if [ -n "$pattern" ]; then
    find tests/fixtures -type f -name "$pattern" -size -16k | while read -r file; do
      cp "$file" "$corpus/$(cksum <"$file" | cut -d' ' -f1)"
    done
  fi
  log=build/fuzz/$name.log
  # shellcheck disable=SC2086  # words on purpose
  if $plain_addresses "build/fuzz/tests/${name}_fuzz" -max_total_time="$seconds" -max_len=8192 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$name-" "$corpus" >"$log" 2>&1; then
    result=ok
  else
    result=FAILED
    failed=1
  fi
  seen=$(sed -n 's/.* ft: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  kept=$(find "$corpus" -type f | wc -l)
  echo "$result $name: $seconds s, ${runs:-?} inputs, ${seen:-?} features, $kept in the corpus"
done
[ "$failed" -eq 0 ]
