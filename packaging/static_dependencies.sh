#!/bin/sh
# Builds the libraries of the static binary that the distribution's archives cannot give: libcurl as small as it gets,
# with a c-ares that is small, too, for names; an OpenSSL trimmed to TLS 1.2 and 1.3; a zstd, an RE2 and a yaml-cpp that
# are half the size.
# Their sources are the distribution's source packages, fetched by apt, which checks that the distribution signed them
# (packaging/static_sources.sh); packaging/static_dependencies.lock says which, with their SHA-256. For another
# architecture it also unpacks a sysroot: the static libraries that the host's own -dev packages give where nothing is
# crossed, pinned and checked in the same way. Nothing is installed and nothing under /etc/apt is touched.
#
#   sh packaging/static_dependencies.sh               builds what the lock names; at once when it is there already
#   sh packaging/static_dependencies.sh --update [FILE]
#                                                     takes in a security update: rewrites the lock, for all
#                                                     architectures, builds, says what changed; and which CVEs are open
#                                                     by FILE, the security tracker's (packaging/open_cves.py)
#   sh packaging/static_dependencies.sh --or-newest   the lock's, or what the distribution has now where it does not
#                                                     have that; it says so
#   sh packaging/static_dependencies.sh --where       prints the folder of what is built; exit code 1: nothing is
#
#   --arch aarch64   before any of these: for 64-bit ARM, with the cross compiler of packaging/dependencies.sh cross
#
# An archive keeps a version only until the next one. What is built for release must not change by itself on that day:
# without an option the build then stops and says to run --update (sources fetched before are kept and still do).
# Whoever only wants an agent, from an old checkout or on another distribution, takes --or-newest, as quickstart.sh
# does. So does tests/run.sh, lest one new version hide what every other test says; static_binary_test.py then fails.
set -eu
cd "$(dirname "$0")/.."

script=packaging/static_dependencies.sh
lock=packaging/static_dependencies.lock
cache=$PWD/build/static-deps
newest=$cache/newest.lock
sources=$cache/sources
built_here='openssl c-ares curl libzstd re2 yaml-cpp'
# What the sysroot is made of. Headers alone are all that is used of the last five.
in_sysroot='libc6-dev libprotobuf-dev libsnappy-dev zlib1g-dev
  libboost1.74-dev libcli11-dev libfmt-dev libspdlog-dev libxxhash-dev'
. packaging/static_recipes.sh
. packaging/static_sources.sh
export LC_ALL=C
umask 022

fail() { # what went wrong, what to do
  printf 'static_dependencies.sh: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

step() { printf 'static dependencies: %s\n' "$*" >&2; }

# The lines of a lock that count for one architecture: "package version file sha256" each, and package:arm64 is for the
# sysroot of that architecture alone. The first line that counts names the distribution.
lines_for() { # lock, architecture
  if is_crossed "$2"; then grep -v '^#' "$1"; else grep -v -e '^#' -e '^[^ ]*:arm64 ' "$1"; fi
}

is_crossed() { [ "$1" = aarch64 ] && [ "$(uname -m)" != aarch64 ]; } # architecture

compiler_for() { # architecture
  if is_crossed "$1"; then echo aarch64-linux-gnu-gcc; else echo "${CC:-cc}"; fi
}

# The folder of a lock: another lock, recipe, architecture or compiler is another folder.
folder_of() { # lock
  printf '%s/%s' "$cache" \
    "$({ lines_for "$1" "$arch" && cat packaging/static_recipes.sh && "$compiler" --version 2>/dev/null; } | sha256sum |
      cut -c 1-16)"
}

is_built() { [ -f "$1/lock" ]; }

# The first of both that is built; the lock's own goes first.
where() {
  for file in "$lock" "$newest"; do
    [ -f "$file" ] || continue
    folder=$(folder_of "$file")
    if is_built "$folder"; then
      printf '%s\n' "$folder"
      return
    fi
  done
  return 1
}

distribution() { (. /etc/os-release && printf '%s %s' "$ID" "${VERSION_ID:-unstable}"); }

files_of() { lines_for "$1" "$arch" | grep -v '^distribution '; }
version_in() { files_of "$1" | awk -v package="$2" '$1 == package { print $2; exit }'; }

unpack_sysroot() { # lock, folder
  files_of "$1" | awk '$1 ~ /:arm64$/ { print $3 }' | while read -r file; do dpkg-deb -x "$sources/$file" "$2"; done
}

build() { # lock
  folder=$(folder_of "$1")
  if is_built "$folder"; then return; fi
  command -v "$compiler" >/dev/null || fail "there is no $compiler" "run: sh packaging/dependencies.sh $(
    if is_crossed "$arch"; then echo cross; else echo build; fi)"
  work=$cache/work
  rm -rf "$work" "$folder"
  mkdir -p "$work" "$folder"
  if is_crossed "$arch"; then unpack_sysroot "$1" "$folder/sysroot"; fi
  unset CFLAGS CPPFLAGS CXXFLAGS LDFLAGS
  prefix=
  if is_crossed "$arch"; then prefix=aarch64-linux-gnu-; fi
  export CC="$compiler" AR="${prefix}ar" RANLIB="${prefix}ranlib" SOURCE_DATE_EPOCH=0
  for package in $built_here; do
    step "building $package $(version_in "$1" "$package") for $arch"
    log=$cache/$package-$arch.log
    recipe=build_$(echo "$package" | tr - _)
    if ! { unpack "$1" "$package" "$work/$package" && ("$recipe" "$work/$package" "$folder"); } >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      fail "$package does not build; all that it said is in $log"
    fi
    describe_patches "$package" "$work/$package" >>"$folder/patches"
    describe_version "$package" "$(version_in "$1" "$package")" "$work/$package" >>"$folder/versions"
  done
  rm -rf "$work"
  cp "$1" "$folder/lock" # the last step: from here on it is built
  step "ready for $arch"
}

# Exactly what the lock names.
fetch_locked() { # 1: the archive does not have it
  have_sources "$lock" && return
  [ "$(sed -n 's/^distribution //p' "$lock")" = "$(distribution)" ] || return 1
  for package in $built_here; do
    prepare_apt "$(kind_of "$package")"
    pinned=$(version_in "$lock" "$package")
    fetch "$package" "$pinned"
    offered=$(versions_of "$package" | head -n 1)
    [ "$offered" = "$pinned" ] || step "$package $offered is out; to take it in: sh $script --update"
  done
  if is_crossed "$arch"; then
    prepare_apt deb
    step "fetching the sysroot for $arch"
    for package in $in_sysroot; do fetch "$package:arm64" "$(version_in "$lock" "$package:arm64")"; done
  fi
  have_sources "$lock"
}

behind() {
  printf 'packaging/static_dependencies.lock (%s: openssl %s, curl %s)' "$(sed -n 's/^distribution //p' "$lock")" \
    "$(version_in "$lock" openssl)" "$(version_in "$lock" curl)"
}

# What a new lock changes, a line each, and nothing for a package that is as it was.
tell_change() { # package, architectures
  before=$(version_in "$cache/before.lock" "$1")
  after=$(version_in "$lock" "$1")
  if [ "$before" != "$after" ]; then
    echo "$2: ${1%:arm64} ${before:-none} -> $after"
  elif [ "$(grep "^$1 " "$lock")" != "$(grep "^$1 " "$cache/before.lock")" ]; then
    echo "$2: ${1%:arm64} $after, the same version, of other files"
  fi
}

# The host's own packages are no line of the lock: is what is installed what the distribution has now? Without what
# follows a +b, which counts rebuilds of one architecture.
tell_outdated() { # package
  installed=$(dpkg-query -W -f '${Version}' "$1" 2>/dev/null) || return 0
  newest_version=$(version_in "$lock" "$1:arm64")
  if dpkg --compare-versions "${installed%+b*}" lt "${newest_version%+b*}"; then
    echo "$(uname -m): $1 $installed is installed and $newest_version is out: apt-get install --only-upgrade $1"
  fi
}

update() { # nothing, or a file of the security tracker
  cp "$lock" "$cache/before.lock" 2>/dev/null || : >"$cache/before.lock"
  write_lock "$lock" with-sysroot
  for arch in x86_64 aarch64; do
    compiler=$(compiler_for "$arch")
    if [ "$arch" != "$(uname -m)" ] && ! is_crossed "$arch"; then continue; fi
    if is_crossed "$arch" && ! command -v "$compiler" >/dev/null; then
      step "not built for $arch: there is no $compiler; it comes with: sh packaging/dependencies.sh cross"
      continue
    fi
    build "$lock"
  done
  arch=aarch64 # whose lines are all of them
  for package in $built_here; do tell_change "$package" "x86_64, aarch64"; done
  for package in $in_sysroot; do tell_change "$package:arm64" aarch64; done
  for package in $in_sysroot; do tell_outdated "$package"; done
  if cmp -s "$lock" "$cache/before.lock"; then
    echo "The lock is as it was: the distribution has nothing newer."
  else
    echo "Run the tests, then commit $lock."
  fi
  if [ -n "${1-}" ]; then
    python3 packaging/open_cves.py "$1" "$lock" || [ $? -eq 1 ] || fail "which CVEs are open was not found out"
  else
    echo "Which CVEs are open was not looked up: give --update the tracker's file; packaging/open_cves.py says which."
  fi
}

arch=$(uname -m)
if [ "${1-}" = --arch ]; then
  arch=${2-}
  shift 2 || shift
fi
[ "$arch" = "$(uname -m)" ] || is_crossed "$arch" || fail "cannot build for '$arch' on $(uname -m)"
compiler=$(compiler_for "$arch")
mkdir -p "$cache" "$sources"
if [ "${1-}" = --where ]; then
  where
  exit
fi
exec 9>"$cache/one-at-a-time"
flock 9
case ${1-} in
  --update)
    update "${2-}"
    ;;
  '')
    if is_built "$(folder_of "$lock")"; then exit 0; fi
    fetch_locked || fail "this distribution does not offer (any more) what is pinned in $(behind)" \
      "if it has a newer version, take it in:  sh $script --update" \
      "or build once with what it has now:  sh $script --or-newest" \
      "what apt-get said is in $cache"
    build "$lock"
    ;;
  --or-newest)
    if where >/dev/null; then exit 0; fi
    if fetch_locked; then
      build "$lock"
    else
      step "not offered here: $(behind)"
      write_lock "$newest" "$(if is_crossed "$arch"; then echo with-sysroot; fi)"
      step "building with openssl $(version_in "$newest" openssl), curl $(version_in "$newest" curl) instead;" \
        "for a release run: sh $script --update"
      build "$newest"
    fi
    ;;
  *)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
