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
# The binary for 64-bit ARM is compared with the other one.
case $presets in *release*) presets="$presets release-arm64" ;; esac

# Integration tests that are worth their time under a sanitizer: those in which threads, signals and buffers meet.
under_asan="answers check config_errors convert_alloy delivery dry_run fleet loop outage real_server reload startup"
under_asan="$under_asan status tls"
under_tsan='answers delivery loop outage real_server reload'
# What looks at the packages of both architectures.
both='contents'
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
export MSP_RESULTS="$results"

run() { # name, command...
  sh tests/support/run_test.sh "$@"
}

# Most of a test's time is waiting: a few run at a time.
run_some() { # preset, folder, part of the name, tests...
  export MSP_AGENT="$root/build/${1%-arm64}/msp-agent" MSP_VARIANT=
  case $1 in asan | tsan) MSP_VARIANT=$1 ;; esac
  folder=$2
  label=$3
  shift 3
  [ $# -gt 0 ] || return 0
  printf '%s\n' "$@" | xargs -P 3 -I{} sh tests/support/run_test.sh "{} ($label)" python3 "tests/$folder/{}_test.py"
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
  [ "$1" != release ] || tests="$tests $(package_tests release-arm64)"
  if [ -n "$(echo $tests)" ]; then targets="$targets msp-agent"; fi
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
  echo "making packages ..."
  if ! {
    if [ -z "$has_packages" ]; then
      rm -rf build/tests/packages &&
        sh packaging/packages.sh --or-newest --out build/tests/packages &&
        sh tests/package/newer.sh 0.2.0 build/tests/packages/newer && has_packages=yes
    fi && if [ "$1" = release-arm64 ]; then
      sh packaging/packages.sh --preset release-arm64 --or-newest --out build/tests/packages/arm64
    fi
  } >build/tests/packages.log 2>&1; then
    echo "FAILED build: packages" | tee -a "$results"
    tail -n 15 build/tests/packages.log | sed 's/^/  /'
    return 1
  fi
}

# Builds one preset after the other while those that are built are tested. Lines "PRESET yes" and "PRESET no" come out
# of descriptor 3.
rm -f build/tests/built
mkfifo build/tests/built
exec 3<>build/tests/built
rm -f build/tests/built
for preset in $presets; do
  if build "$preset"; then echo yes >&3; else echo no >&3; fi
done &
builder=$!
trap 'kill "$builder" 2>/dev/null || true' EXIT

if is_in tree "$parts"; then
  run tree python3 tests/tree/tree_test.py
  run pages python3 tests/tree/pages_test.py
fi

for preset in $presets; do
  read -r is_built <&3
  [ "$is_built" = yes ] || continue
  if is_in "$preset" 'asan tsan'; then
    for part in unit collectors fault; do
      if is_in "$part" "$parts"; then catch2_tests "$part" "$preset"; fi
    done
    if [ "$preset" = asan ] && is_in fault "$parts"; then fuzz "$preset"; fi
  fi
  # shellcheck disable=SC2046  # words on purpose
  run_some "$preset" integration "$preset" $(integration_tests "$preset")
  packages_to_test=$(package_tests "$preset")
  if [ -n "$packages_to_test" ] && make_packages "$preset"; then
    # shellcheck disable=SC2086  # words on purpose
    run_some "$preset" package package $packages_to_test
  fi
done
wait "$builder"

passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAILED ' "$results" || true)
if [ "$failed" -gt 0 ]; then
  echo
  grep '^FAILED ' "$results"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
