#!/bin/sh
# Installs what the tests need, builds, runs every test. The last line is "N passed, N failed"; the exit code is 0 when
# some ran and none failed.
#
#   sh tests/run.sh                    everything
#   sh tests/run.sh unit               a part: tree unit collectors fault integration package
#   sh tests/run.sh slow               what is not part of everything, because it takes minutes; .ci/run runs it too
#   sh tests/run.sh loop delivery      tests by name: tests/integration/<name>_test.py, tests/package/<name>_test.py
#   sh tests/run.sh loop release       only with this build: release asan tsan
#
# The C++ tests are built with AddressSanitizer and UndefinedBehaviorSanitizer (asan) and with ThreadSanitizer (tsan);
# release is the binary that is shipped; MSP_FROM_SCRATCH=1 sh tests/run.sh reproducible release rebuilds its libraries
# as well, elsewhere, and compares (3 minutes).
set -eu
cd "$(dirname "$0")/.."
root=$PWD

parts=
presets=
for word in "$@"; do
  case $word in
    tree | unit | collectors | fault | integration | package | slow) parts="$parts $word" ;;
    release | asan | tsan) presets="$presets $word" ;;
    *)
      if [ ! -f "tests/integration/${word}_test.py" ] && [ ! -f "tests/package/${word}_test.py" ]; then
        echo "tests/run.sh: there is no test called '$word'" >&2
        sed -n 's/^#   //p' "$0" >&2
        exit 2
      fi
      parts="$parts $word"
      ;;
  esac
done
: "${parts:=tree unit collectors fault integration package}" "${presets:=release asan tsan}"

# Integration tests that are worth their time under a sanitizer: those in which threads, signals and buffers meet.
under_asan='config_errors convert_alloy delivery dry_run fleet loop outage real_server reload startup tls'
under_tsan='delivery loop outage real_server reload'
# Package tests that take minutes.
slow='reproducible boot_kernel boot_others same_packages'

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

# Mutated segments and foreign configurations, always the same ones.
fuzz() { # preset
  run "fuzz ($1)" sh -c "build/$1/tests/segment_fuzz --runs=5000 && echo 'ok fuzz ($1): segments'"
  run "fuzz ($1)" sh -c "build/$1/tests/alloy_fuzz --runs=5000 tests/fixtures/alloy tests/fixtures/prometheus &&
    echo 'ok fuzz ($1): configurations of Alloy and Prometheus'"
}

binary_of() { # part
  case $1 in
    collectors) echo collector_tests ;;
    *) echo "$1_tests" ;;
  esac
}

build() { # preset
  targets=
  if [ "${1%-arm64}" != release ]; then
    for part in unit collectors fault; do
      if is_in "$part" "$parts"; then targets="$targets $(binary_of "$part")"; fi
    done
    if is_in fault "$parts"; then targets="$targets segment_fuzz alloy_fuzz"; fi
  fi
  tests="$(integration_tests "$1") $(package_tests "$1")"
  if [ "$tests" != ' ' ]; then targets="$targets msp-agent"; fi
  if is_in fleet "$(echo $tests)"; then targets="$targets fleet"; fi
  [ -n "$targets" ] || return 0
  with_tests=ON
  [ "${1%-arm64}" != release ] || with_tests=OFF
  log=build/tests/build-$1.log
  arch=
  [ "$1" != release-arm64 ] || arch='--arch aarch64'
  # shellcheck disable=SC2086  # words on purpose
  if [ "${1%-arm64}" = release ] && ! sh packaging/static_dependencies.sh $arch --or-newest; then
    echo "FAILED build: static dependencies $arch" | tee -a "$results"
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
      release) [ "$test" != fleet ] || continue ;; # it is a program of the tests
      asan) is_in "$test" "$under_asan" || continue ;;
      tsan) is_in "$test" "$under_tsan" || continue ;;
    esac
    echo "$test"
  done
}

package_tests() { # preset
  [ "$1" = release ] || return 0
  for file in tests/package/*_test.py; do
    test=$(basename "$file" _test.py)
    part=package
    if is_in "$test" "$slow"; then part=slow; fi
    if is_in "$part" "$parts" || is_in "$test" "$parts"; then echo "$test"; fi
  done
}

# What package tests install: the packages of this tree, and those of a later version.
make_packages() {
  echo "making packages ..."
  rm -rf build/tests/packages
  if ! { sh packaging/packages.sh --or-newest --out build/tests/packages &&
    sh tests/package/newer.sh 0.2.0 build/tests/packages/newer; } >build/tests/packages.log 2>&1; then
    echo "FAILED build: packages" | tee -a "$results"
    tail -n 15 build/tests/packages.log | sed 's/^/  /'
    return 1
  fi
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
    if [ "$test" = aarch64 ]; then build release-arm64 || continue; fi
    run "$test ($preset)" env "MSP_AGENT=$root/build/$preset/msp-agent" "MSP_VARIANT=$variant" \
      python3 "tests/integration/${test}_test.py"
  done
  packages_to_test=$(package_tests "$preset")
  if [ -n "$packages_to_test" ] && make_packages; then
    for test in $packages_to_test; do run "$test (package)" python3 "tests/package/${test}_test.py"; done
  fi
done

passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAILED ' "$results" || true)
if [ "$failed" -gt 0 ]; then
  echo
  grep '^FAILED ' "$results"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
