#!/bin/sh
# Builds the libraries of the static binary that the distribution's archives cannot give: libcurl as small as it gets,
# with a c-ares that is small, too, for names; an OpenSSL trimmed to TLS 1.2 and 1.3; a zstd that is half the size.
# Their sources are the distribution's source packages, fetched by apt, which checks that the distribution signed them;
# packaging/static_dependencies.lock says which, with their SHA-256. For another architecture it also unpacks a sysroot:
# the static libraries that the host's own -dev packages give where nothing is crossed, pinned and checked in the same
# way. Nothing is installed and nothing under /etc/apt is touched.
#
#   sh packaging/static_dependencies.sh               builds what the lock names; at once when it is there already
#   sh packaging/static_dependencies.sh --update      takes in a security update: rewrites the lock, for all
#                                                     architectures, builds, says what changed
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
built_here='openssl c-ares curl libzstd'
# What the sysroot is made of. Headers alone are all that is used of the last four.
in_sysroot='libc6-dev libprotobuf-dev libre2-dev libsnappy-dev libyaml-cpp-dev zlib1g-dev
  libcli11-dev libfmt-dev libspdlog-dev libxxhash-dev'
. packaging/static_recipes.sh
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

# The sources of apt as they are, but for source packages, or for the binary ones of arm64; with lists of their own.
prepare_apt() { # deb-src or deb
  apt=$cache/apt-$1
  [ ! -e "$apt/asked-by-$$" ] || return 0
  rm -rf "$apt"
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial" "$sources"
  : >"$apt/status"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    case $file in
      *.sources) sed "s/^Types:.*/Types: $1/" "$file" ;;
      *) sed -n "s/^[[:space:]]*deb\([[:space:]]\)/$1\1/p" "$file" ;;
    esac >"$apt/parts/${file##*/}"
  done
  cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/parts";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
Acquire::Retries "2";
Acquire::Languages "none";
CONF
  if [ "$1" = deb ]; then
    printf 'APT::Architecture "arm64";\nAPT::Architectures {"arm64";};\nDir::State::status "%s/status";\n' "$apt" \
      >>"$apt/apt.conf"
  fi
  step "asking the distribution for its packages ($1)"
  # One repository of several that does not answer is not the end: what is missing is found missing below.
  as_apt "$1" apt-get -q update >"$apt/update.log" 2>&1 || true
  ls "$apt"/lists/*_Sources* >/dev/null 2>&1 || ls "$apt"/lists/*_Packages* >/dev/null 2>&1 ||
    fail "apt-get update brought no list of packages; it said:" "$(tail -n 5 "$apt/update.log")"
  : >"$apt/asked-by-$$"
}

# Nobody is asked whether an unsigned package will do: it will not.
as_apt() { # deb-src or deb, command...
  config=$cache/apt-$1/apt.conf
  shift
  APT_CONFIG=$config "$@" </dev/null
}

# The newest first.
versions_of() { # package
  offered=$(as_apt deb-src apt-cache showsrc --only-source "$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -u)
  for version in $offered; do
    # An insertion sort of a few lines, in the order that dpkg has.
    newer=0
    for other in $offered; do
      ! dpkg --compare-versions "$other" gt "$version" || newer=$((newer + 1))
    done
    echo "$newer $version"
  done | sort -n | cut -d ' ' -f 2
}

# Whatever of a version's files the archive still has; apt-get says on its own when one is damaged.
fetch() { # package, version
  case $1 in
    *:arm64) how='deb apt-get -q download' ;;
    *)
      step "fetching $1 $2"
      how='deb-src apt-get -q source --download-only'
      ;;
  esac
  # shellcheck disable=SC2086  # words on purpose
  (cd "$sources" && as_apt $how "${1%:arm64}=$2" >"$cache/fetch.log" 2>&1) || true
}

sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# 0: all that the lock names is there and is what it says.
have_sources() { # lock
  files_of "$1" | while read -r _ _ file sum; do
    [ -f "$sources/$file" ] && [ "$(sha256_of "$sources/$file")" = "$sum" ] || exit 1
  done
}

# The files of a version that are a lock's lines, or nothing when the archive does not have enough of them. curl is
# nothing without the distribution's patches: they are its security fixes. OpenSSL's fixes come as new upstream
# versions, so the newest of those as released is better than an older one that is complete.
lines_of() { # package, version
  fetch "$1" "$2"
  prefix=${1}_$(printf '%s' "${2#*:}" | sed 's/-[^-]*$//')
  dsc=$sources/${1}_${2#*:}.dsc
  if [ -f "$dsc" ]; then
    names="${dsc##*/} $(sed -n '/^Checksums-Sha256:/,/^[^ ]/s/^ [0-9a-f]* [0-9]* //p' "$dsc")"
  elif [ "$1" = openssl ] && [ -f "$sources/$prefix.orig.tar.gz" ]; then
    names=$prefix.orig.tar.gz
  else
    return 1
  fi
  for name in $names; do [ -f "$sources/$name" ] || return 1; done
  for name in $names; do echo "$1 $2 $name $(sha256_of "$sources/$name")"; done
}

# The newest of a package of the sysroot.
sysroot_line_of() { # package
  version=$(as_apt deb apt-cache policy "$1" | sed -n 's/^  Candidate: //p')
  name=$(as_apt deb apt-get download --print-uris "$1" 2>/dev/null | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p")
  [ -n "$name" ] || return 1
  [ -f "$sources/$name" ] || fetch "$1:arm64" "$version"
  [ -f "$sources/$name" ] && echo "$1:arm64 $version $name $(sha256_of "$sources/$name")"
}

# A lock of what the distribution has now.
write_lock() { # file, "with-sysroot" or nothing
  prepare_apt deb-src
  [ -z "${2-}" ] || prepare_apt deb
  {
    echo "# Sources of the static binary's OpenSSL, c-ares, libcurl and zstd; then the sysroot for 64-bit ARM."
    echo "# Written by: sh $script --update"
    echo "# package version file sha256. Without a .dsc: the upstream release, without the distribution's patches."
    echo "distribution $(distribution)"
    for package in $built_here; do
      found=
      for version in $(versions_of "$package"); do
        found=$(lines_of "$package" "$version") && break
        found=
      done
      [ -n "$found" ] || fail "the distribution offers no source package of $package that is complete" \
        "apt-get said: $(tail -n 3 "$cache/fetch.log" 2>/dev/null)"
      echo "$found"
    done
    [ -z "${2-}" ] || for package in $in_sysroot; do
      sysroot_line_of "$package" || fail "the distribution offers no $package for arm64" \
        "apt-get said: $(tail -n 3 "$cache/fetch.log" 2>/dev/null)"
    done
  } >"$1.new"
  mv "$1.new" "$1"
}

unpack() { # lock, package, folder
  dsc=$(files_of "$1" | awk -v package="$2" '$1 == package && $3 ~ /[.]dsc$/ { print $3 }')
  if [ -n "$dsc" ]; then
    # Its signature is apt's business and its checksum is the lock's.
    dpkg-source --no-check -x "$sources/$dsc" "$3"
  else
    mkdir -p "$3"
    tar -xf "$sources/$(files_of "$1" | awk -v package="$2" '$1 == package { print $3 }')" --strip-components=1 -C "$3"
  fi
}

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
  done
  rm -rf "$work"
  cp "$1" "$folder/lock" # the last step: from here on it is built
  step "ready for $arch"
}

# Exactly what the lock names.
fetch_locked() { # 1: the archive does not have it
  have_sources "$lock" && return
  [ "$(sed -n 's/^distribution //p' "$lock")" = "$(distribution)" ] || return 1
  prepare_apt deb-src
  for package in $built_here; do
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

update() {
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
    update
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
