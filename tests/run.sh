#!/bin/sh
# Installs what the tests need, builds, runs every test. The last line is "N passed, N failed"; the exit code is 0 when
# some ran and none failed.
#
#   sh tests/run.sh                    everything but what takes minutes
#   sh tests/run.sh all                that as well: what .ci/run runs
#   sh tests/run.sh unit               a part: tree unit collectors fault threads simulation integration package slow
#   sh tests/run.sh loop delivery      tests by name: tests/integration/<name>_test.py, tests/package/<name>_test.py
#   sh tests/run.sh loop release       only with this build: release asan tsan
#
# The C++ tests are built with AddressSanitizer and UndefinedBehaviorSanitizer (asan); those with the tag [threads] also
# with ThreadSanitizer (tsan), which has nothing to say of others: they are the part threads. The agent is built with
# both, for integration tests; release is the binary that is shipped, and what the simulation is linked with: 10,000
# seeds need the optimizer, and the objects are there. MSP_FROM_SCRATCH=1 sh tests/run.sh reproducible
# rebuilds its libraries as well, elsewhere, and compares (3 minutes).
set -eu
cd "$(dirname "$0")/.."
root=$PWD

parts=
presets=
most='tree unit collectors fault threads simulation integration package'
for word in "$@"; do
  case $word in
    tree | unit | collectors | fault | threads | simulation | integration | package | slow) parts="$parts $word" ;;
    all) parts="$most slow" ;;
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
: "${parts:=$most}" "${presets:=release asan tsan}"
# The binary for 64-bit ARM is compared with the other one.
case $presets in *release*) presets="$presets release-arm64" ;; esac

# Integration tests that are worth their time under a sanitizer: those in which threads, signals and buffers meet.
# Configurations, ours and those of others, are read under a sanitizer by unit tests and fuzzers.
under_asan="answers check delivery dry_run fleet loop outage probe probe_dialog real_server reload startup"
under_asan="$under_asan status tls"
under_tsan='answers delivery listen_login loop outage pull real_server reload'
# What looks at the packages of both architectures.
both='contents provenance'
# Package tests that take minutes.
slow='reproducible boot_kernel boot_others'

is_in() { # word, list
  case " $2 " in *" $1 "*) return 0 ;; esac
  return 1
}

sh packaging/dependencies.sh test
mkdir -p build/tests
results=$root/build/tests/results.txt
times=$root/build/tests/times.txt
: >"$results"
: >"$times"

export PYTHONPATH="$root/tests" PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS=detect_stack_use_after_return=1:handle_sigill=2
export TSAN_OPTIONS=halt_on_error=1
export MSP_RESULTS="$results" MSP_TIMES="$times"

binary_of() { # part
  case $1 in
    collectors) echo collector_tests ;;
    threads) echo thread_tests ;;
    simulation) echo simulation ;;
    *) echo "$1_tests" ;;
  esac
}

cpp_parts() { # preset
  case $1 in
    asan) those='unit collectors fault' ;;
    tsan) those=threads ;;
    release) those=simulation ;;
    *) those= ;;
  esac
  for part in $those; do
    if is_in "$part" "$parts"; then echo "$part"; fi
  done
}

build() { # preset
  targets=
  for part in $(cpp_parts "$1"); do targets="$targets $(binary_of "$part")"; done
  if is_in fault_tests "$targets"; then
    targets="$targets segment_fuzz alloy_fuzz exposition_fuzz bus_fuzz request_fuzz dns_fuzz write_fuzz"
  fi
  tests="$(integration_tests "$1") $(package_tests "$1")"
  [ "$1" != release ] || tests="$tests $(package_tests release-arm64)"
  if [ -n "$(echo $tests)" ]; then targets="$targets msp-agent"; fi
  if is_in fleet "$(echo $tests)"; then targets="$targets fleet"; fi
  if is_in budget "$(echo $tests)"; then targets="$targets tick_budget"; fi
  if [ "$1" = release ] && { is_in exhaustion "$(echo $tests)" || is_in clock_jumps "$(echo $tests)"; }; then
    targets="$targets faulty_agent"
  fi
  [ -n "$targets" ] || return 0
  began=$(date +%s)
  with_tests=ON
  [ "${1%-arm64}" != release ] || is_in simulation "$targets" || is_in tick_budget "$targets" ||
    is_in faulty_agent "$targets" || with_tests=OFF
  log=build/tests/build-$1.log
  arch=
  [ "$1" != release-arm64 ] || arch='--arch aarch64'
  # shellcheck disable=SC2086  # words on purpose
  if [ "${1%-arm64}" = release ] && ! sh packaging/static_dependencies.sh $arch --or-newest >&2; then
    echo "FAILED build: static dependencies $arch" | tee -a "$results" >&2
    return 1
  fi
  echo "building $1 ..." >&2
  # Tests that run meanwhile go first: what they measure is time, and most of it they wait.
  # shellcheck disable=SC2086  # words on purpose
  if ! (
    cmake --preset "$1" -DMSP_AGENT_TESTS=$with_tests && nice cmake --build --preset "$1" --target $targets &&
      times >build/tests/cpu.txt
  ) >"$log" 2>&1; then
    echo "FAILED build: $1" | tee -a "$results" >&2
    { grep -A 15 -m 3 -E 'error|FAILED' "$log" || tail -n 30 "$log"; } | sed 's/^/  /' >&2
    return 1
  fi
  cpu=$(awk -f tests/support/cpu_seconds.awk build/tests/cpu.txt)
  echo "$(($(date +%s) - began)) s (CPU $cpu s) building $1" >>"$times"
}

integration_tests() { # preset
  for file in tests/integration/*_test.py; do
    test=$(basename "$file" _test.py)
    is_in integration "$parts" || is_in "$test" "$parts" || continue
    case $1 in
      release) ! is_in "$test" 'fleet aarch64' || continue ;; # fleet is a program of the tests
      release-arm64) [ "$test" = aarch64 ] || continue ;;
      asan) is_in "$test" "$under_asan" || continue ;;
      tsan) is_in "$test" "$under_tsan" || continue ;;
    esac
    echo "$test"
  done
}

package_tests() { # the last preset that they need
  for file in tests/package/*_test.py; do
    test=$(basename "$file" _test.py)
    part=package
    if is_in "$test" "$slow"; then part=slow; fi
    is_in "$part" "$parts" || is_in "$test" "$parts" || continue
    case $1 in
      release) ! is_in "$test" "$both" || continue ;;
      release-arm64) is_in "$test" "$both" || continue ;;
      *) continue ;;
    esac
    echo "$test"
  done
}

# What package tests install: the packages of this tree, those of a later version, those for 64-bit ARM.
has_packages=
make_packages() { # preset
  echo "making packages ..." >&2
  if ! {
    if [ -z "$has_packages" ]; then
      rm -rf build/tests/packages &&
        sh packaging/packages.sh --or-newest --out build/tests/packages &&
        sh tests/package/newer.sh 0.2.0 build/tests/packages/newer && has_packages=yes
    fi && if [ "$1" = release-arm64 ]; then
      sh packaging/packages.sh --preset release-arm64 --or-newest --out build/tests/packages/arm64
    fi
  } >build/tests/packages.log 2>&1; then
    echo "FAILED build: packages" | tee -a "$results" >&2
    tail -n 15 build/tests/packages.log | sed 's/^/  /' >&2
    return 1
  fi
}

# The lines of the functions below are arguments of tests/support/run_test.sh: NAME COMMAND...
python_tests() { # preset, folder, part of the name, tests...
  variant=
  case $1 in asan | tsan) variant=$1 ;; esac
  agent="env 'MSP_AGENT=$root/build/${1%-arm64}/msp-agent' MSP_VARIANT=$variant"
  folder=$2
  label=$3
  shift 3
  for test in "$@"; do echo "'$test ($label)' $agent python3 tests/$folder/${test}_test.py"; done
}

cpp_tests() { # preset
  for part in $(cpp_parts "$1"); do
    if [ "$part" = simulation ]; then
      # Always the same seeds; others by hand: build/release/tests/simulation --from 10001 --seeds 100000
      program="build/$1/tests/simulation --jobs 2"
      echo "'simulation ($1)' sh -c '$program --seeds 10000 && echo \"ok simulation ($1)\"'"
      echo "'clocks ($1)' sh -c '$program --clocks --seeds 300 && echo \"ok clocks ($1)\"'"
      # The return of a centre: many agents, and a few with much to send.
      echo "'fleet ($1)' sh -c '$program --fleet 1000 --series 10 && $program --fleet 100 --series 700 &&" \
        "echo \"ok fleet ($1)\"'"
      continue
    fi
    tag=
    [ "$part" != threads ] || tag=' [threads]'
    echo "'$part ($1)' python3 tests/support/catch2_report.py '$part ($1)' build/$1/tests/$(binary_of "$part")$tag"
  done
  # Mutated segments and foreign configurations, always the same ones.
  if is_in fault "$(echo $(cpp_parts "$1"))"; then
    echo "'fuzz ($1)' sh -c 'build/$1/tests/segment_fuzz --runs=5000 && echo \"ok fuzz ($1): segments\"'"
    echo "'fuzz ($1)' sh -c 'build/$1/tests/alloy_fuzz --runs=5000 tests/fixtures/alloy tests/fixtures/prometheus &&" \
      "echo \"ok fuzz ($1): configurations of Alloy and Prometheus\"'"
    echo "'fuzz ($1)' sh -c 'build/$1/tests/exposition_fuzz --runs=5000 tests/fixtures &&" \
      "echo \"ok fuzz ($1): texts of exporters\"'"
    echo "'fuzz ($1)' sh -c 'build/$1/tests/bus_fuzz --runs=5000 && echo \"ok fuzz ($1): a system bus\"'"
    echo "'fuzz ($1)' sh -c 'build/$1/tests/dns_fuzz --runs=50000 && echo \"ok fuzz ($1): a name server\"'"
    echo "'fuzz ($1)' sh -c 'build/$1/tests/write_fuzz --runs=50000 && echo \"ok fuzz ($1): remote write\"'"
    echo "'fuzz ($1)' sh -c 'build/$1/tests/request_fuzz --runs=5000 && echo \"ok fuzz ($1): HTTP requests\"'"
  fi
}

# The longest first. Packages are made before any test runs, for some work in build/release as well.
tests_of() { # preset
  packages_to_test=$(package_tests "$1")
  if [ -n "$packages_to_test" ] && make_packages "$1"; then
    # shellcheck disable=SC2086  # words on purpose
    python_tests "$1" package package $packages_to_test
  fi
  cpp_tests "$1"
  # shellcheck disable=SC2046  # words on purpose
  python_tests "$1" integration "$1" $(integration_tests "$1")
}

everything() {
  if is_in tree "$parts"; then
    echo 'tree python3 tests/tree/tree_test.py'
    echo 'pages python3 tests/tree/pages_test.py'
  fi
  for preset in $presets; do
    if build "$preset"; then tests_of "$preset"; fi
  done
}

# What is built is tested while the next preset is built; a few tests run at a time, for most of their time is waiting.
everything | xargs -P 4 -L 1 sh tests/support/run_test.sh ||
  echo 'FAILED run.sh: a test was ended before it could say anything' >>"$results"

echo
echo 'What took longest:'
sort -rn "$times" | head -n 16 | sed 's/^/  /'
passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAILED ' "$results" || true)
if [ "$failed" -gt 0 ]; then
  echo
  grep '^FAILED ' "$results"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
