#!/bin/sh
# Installs what the tests need, builds, runs every test. The last line is "N passed, N failed"; the exit code is 0 when
# some ran and none failed.
#
#   sh tests/run.sh                    everything
#   sh tests/run.sh unit               a part: tree unit collectors fault integration
#   sh tests/run.sh loop delivery      integration tests by name: tests/integration/<name>_test.py
#   sh tests/run.sh loop release       only with this build: release asan tsan
#
# The C++ tests are built with AddressSanitizer and UndefinedBehaviorSanitizer (asan) and with ThreadSanitizer (tsan);
# release is the binary that is shipped.
set -eu
cd "$(dirname "$0")/.."
root=$PWD

parts=
presets=
for word in "$@"; do
  case $word in
    tree | unit | collectors | fault | integration) parts="$parts $word" ;;
    release | asan | tsan) presets="$presets $word" ;;
    *)
      if [ ! -f "tests/integration/${word}_test.py" ]; then
        echo "tests/run.sh: there is no test called '$word'" >&2
        sed -n 's/^#   //p' "$0" >&2
        exit 2
      fi
      parts="$parts $word"
      ;;
  esac
done
: "${parts:=tree unit collectors fault integration}" "${presets:=release asan tsan}"

# Integration tests that are worth their time under a sanitizer: those in which threads, signals and buffers meet.
under_asan='answers config_errors delivery dry_run loop outage real_server startup tls'
under_tsan='answers delivery loop outage real_server'

is_in() { # word, list
  case " $2 " in *" $1 "*) return 0 ;; esac
  return 1
}

sh packaging/dependencies.sh test
mkdir -p build/tests
results=$root/build/tests/results.txt
: >"$results"

export PYTHONPATH="$root/tests" PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1
# g++ 12's sanitizers need an address space less random than that of today's kernels.
plain_addresses=
if setarch -R true 2>/dev/null; then plain_addresses='setarch -R'; fi

# Runs a command whose lines "ok NAME" and "FAILED NAME" count; one that ends badly without a word has failed as well.
run() { # name, command...
  name=$1
  shift
  {
    code=0
    timeout --kill-after=10 600 $plain_addresses "$@" 2>&1 || code=$?
    echo "$code" >build/tests/exit-code
  } | tee build/tests/output.txt
  code=$(cat build/tests/exit-code)
  if ! grep -q '^FAILED ' build/tests/output.txt; then
    if [ "$code" -ne 0 ]; then
      echo "FAILED $name: ended with exit code $code" | tee -a build/tests/output.txt
    elif ! grep -q '^ok ' build/tests/output.txt; then
      echo "FAILED $name: ran no test" | tee -a build/tests/output.txt
    fi
  fi
  grep -E '^(ok|FAILED) ' build/tests/output.txt >>"$results" || true
}

catch2_tests() { # part, preset
  run "$1 ($2)" python3 tests/support/catch2_report.py "$1 ($2)" "build/$2/tests/$(binary_of "$1")"
}

# Mutated segments, always the same ones.
fuzz() { # preset
  run "fuzz ($1)" sh -c "build/$1/tests/segment_fuzz --runs=5000 && echo 'ok fuzz ($1): segments'"
}

binary_of() { # part
  case $1 in
    collectors) echo collector_tests ;;
    *) echo "$1_tests" ;;
  esac
}

build() { # preset
  targets=
  if [ "$1" != release ]; then
    for part in unit collectors fault; do
      if is_in "$part" "$parts"; then targets="$targets $(binary_of "$part")"; fi
    done
    if is_in fault "$parts"; then targets="$targets segment_fuzz"; fi
  fi
  if [ -n "$(integration_tests "$1")" ]; then targets="$targets msp-agent"; fi
  [ -n "$targets" ] || return 0
  with_tests=ON
  [ "$1" != release ] || with_tests=OFF
  log=build/tests/build-$1.log
  if [ "$1" = release ] && ! sh packaging/static_dependencies.sh --or-newest; then
    echo "FAILED build: static dependencies" | tee -a "$results"
    return 1
  fi
  echo "building $1 ..."
  # shellcheck disable=SC2086  # words on purpose
  if ! { cmake --preset "$1" -DMSP_AGENT_TESTS=$with_tests && cmake --build --preset "$1" --target $targets; } \
    >"$log" 2>&1; then
    echo "FAILED build: $1" | tee -a "$results"
    grep -A 15 -m 3 -E 'error|FAILED' "$log" | sed 's/^/  /' || tail -n 30 "$log" | sed 's/^/  /'
    return 1
  fi
}

integration_tests() { # preset
  for file in tests/integration/*_test.py; do
    test=$(basename "$file" _test.py)
    is_in integration "$parts" || is_in "$test" "$parts" || continue
    case $1 in
      asan) is_in "$test" "$under_asan" || continue ;;
      tsan) is_in "$test" "$under_tsan" || continue ;;
    esac
    echo "$test"
  done
}

if is_in tree "$parts"; then run tree python3 tests/tree/tree_test.py; fi

for preset in $presets; do
  build "$preset" || continue
  if [ "$preset" != release ]; then
    for part in unit collectors fault; do
      if is_in "$part" "$parts"; then catch2_tests "$part" "$preset"; fi
    done
    if [ "$preset" = asan ] && is_in fault "$parts"; then fuzz "$preset"; fi
  fi
  variant=
  [ "$preset" = release ] || variant=$preset
  for test in $(integration_tests "$preset"); do
    run "$test ($preset)" env "MSP_AGENT=$root/build/$preset/msp-agent" "MSP_VARIANT=$variant" \
      python3 "tests/integration/${test}_test.py"
  done
done

passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAILED ' "$results" || true)
if [ "$failed" -gt 0 ]; then
  echo
  grep '^FAILED ' "$results"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
