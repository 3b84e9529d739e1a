#!/bin/sh
# Builds the two libraries of the static binary that the distribution's archives cannot give: libcurl as small as
# it gets, with c-ares for names, and an OpenSSL trimmed to TLS 1.2 and 1.3. Their sources are the distribution's
# source packages, fetched by apt, which checks that the distribution signed them; packaging/static_dependencies.lock
# says which, with their SHA-256. Nothing is installed and nothing under /etc/apt is touched.
#
#   sh packaging/static_dependencies.sh               builds what the lock names; at once when it is there already
#   sh packaging/static_dependencies.sh --update      takes in a security update: rewrites the lock, builds, says what
#                                                     changed
#   sh packaging/static_dependencies.sh --or-newest   the lock's, or what the distribution has now where it does not
#                                                     have that; it says so
#   sh packaging/static_dependencies.sh --where       prints the folder of what is built; exit code 1: nothing is
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
compiler=${CC:-cc}
small_code='-Os -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables'
apt_is_ready=
export LC_ALL=C

fail() { # what went wrong, what to do
  printf 'static_dependencies.sh: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

step() { printf 'static dependencies: %s\n' "$*" >&2; }

# The folder of a lock: another lock, recipe or compiler is another folder.
folder_of() { # lock
  printf '%s/%s' "$cache" "$({ cat "$1" "$script" && "$compiler" --version; } | sha256sum | cut -c 1-16)"
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

# Lines of a lock: "package version file sha256", one per file; the first line that counts names the distribution.
files_of() { grep -v -e '^#' -e '^distribution ' "$1"; }
version_in() { files_of "$1" | awk -v package="$2" '$1 == package { print $2; exit }'; }

# The sources of apt as they are, but for source packages, with lists of their own.
prepare_apt() {
  [ -z "$apt_is_ready" ] || return 0
  rm -rf "$cache/apt"
  mkdir -p "$cache/apt/parts" "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial" "$sources"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    case $file in
      *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" ;;
      *) sed -n 's/^[[:space:]]*deb\([[:space:]]\)/deb-src\1/p' "$file" ;;
    esac >"$cache/apt/parts/${file##*/}"
  done
  cat >"$cache/apt/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$cache/apt/parts";
Dir::State::lists "$cache/apt/lists";
Dir::Cache "$cache/apt/cache";
APT::Sandbox::User "root";
Acquire::Retries "2";
CONF
  step "asking the distribution for its source packages"
  # One repository of several that does not answer is not the end: what is missing is found missing below.
  as_apt apt-get -q update >"$cache/apt/update.log" 2>&1 || true
  ls "$cache"/apt/lists/*Sources* >/dev/null 2>&1 ||
    fail "apt-get update brought no list of source packages; it said:" "$(tail -n 5 "$cache/apt/update.log")"
  apt_is_ready=yes
}

# Nobody is asked whether an unsigned package will do: it will not.
as_apt() { APT_CONFIG=$cache/apt/apt.conf "$@" </dev/null; }

# The newest first.
versions_of() { # package
  as_apt apt-cache showsrc --only-source "$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -u |
    while read -r version; do
      # An insertion sort of a few lines, in the order that dpkg has.
      newer=0
      for other in $(as_apt apt-cache showsrc --only-source "$1" | sed -n 's/^Version: //p' | sort -u); do
        ! dpkg --compare-versions "$other" gt "$version" || newer=$((newer + 1))
      done
      echo "$newer $version"
    done | sort -n | cut -d ' ' -f 2
}

# Whatever of a version's files the archive still has; apt-get says on its own when one is damaged.
fetch() { # package, version
  step "fetching $1 $2"
  (cd "$sources" && as_apt apt-get -q source --download-only "$1=$2" >"$cache/apt/fetch.log" 2>&1) || true
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

# A lock of what the distribution has now.
write_lock() { # file
  prepare_apt
  {
    echo "# Sources of the static binary's OpenSSL and libcurl. Written by: sh $script --update"
    echo "# package version file sha256. Without a .dsc: the upstream release, without the distribution's patches."
    echo "distribution $(distribution)"
    for package in openssl curl; do
      found=
      for version in $(versions_of "$package"); do
        found=$(lines_of "$package" "$version") && break
        found=
      done
      [ -n "$found" ] || fail "the distribution offers no source package of $package that is complete" \
        "apt-get said: $(tail -n 3 "$cache/apt/fetch.log" 2>/dev/null)"
      echo "$found"
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

# Built inside its own folder, so that no path of this machine gets in. no-sock and no-dso are what removes
# getaddrinfo and dlopen; libcurl brings its own socket layer.
build_openssl() { # build folder, destination
  case $(uname -m) in
    x86_64) target=linux-x86_64 ;;
    aarch64) target=linux-aarch64 ;;
    *) fail "no OpenSSL target is known for $(uname -m)" ;;
  esac
  cd "$1"
  # shellcheck disable=SC2046  # words on purpose
  ./Configure $target --prefix=/nonexistent --openssldir=/nonexistent no-shared no-dso no-engine no-module no-tests \
    $(printf 'no-%s ' afalgeng aria async autoload-config bf blake2 camellia capieng cast cmp cms comp ct des dsa dtls \
      ec2m gost idea legacy md4 mdc2 nextprotoneg psk rc2 rc4 rc5 rmd160 scrypt seed siphash sm2 sm3 sm4 sock srp srtp \
      ssl-trace ssl3 tls1 tls1_1 ts ui-console whirlpool) \
    $small_code
  make -j "$(nproc)" build_libs
  mkdir -p "$2/include" "$2/lib"
  cp -r include/openssl "$2/include/"
  cp libssl.a libcrypto.a "$2/lib/"
}

# CA_BUNDLE and CA_PATH: where a host has its CA certificates is found out at run time.
build_curl() { # source folder, destination
  cmake -S "$1" -B "$1/b" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_INSTALL_PREFIX="$2" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_C_FLAGS="$small_code -DNDEBUG -ffile-prefix-map=$1=curl" \
    -DBUILD_SHARED_LIBS=OFF -DBUILD_CURL_EXE=OFF -DBUILD_TESTING=OFF -DENABLE_MANUAL=OFF -DHTTP_ONLY=ON \
    -DENABLE_ARES=ON -DCURL_USE_OPENSSL=ON -DOPENSSL_ROOT_DIR="$2" -DOPENSSL_USE_STATIC_LIBS=ON \
    -DCURL_CA_BUNDLE=none -DCURL_CA_PATH=none -DCURL_DISABLE_OPENSSL_AUTO_LOAD_CONFIG=ON \
    -DUSE_LIBIDN2=OFF -DCURL_USE_LIBPSL=OFF -DCURL_USE_LIBSSH2=OFF -DUSE_NGHTTP2=OFF -DCURL_USE_GSSAPI=OFF \
    -DCURL_BROTLI=OFF -DCURL_ZSTD=OFF -DCURL_ZLIB=OFF -DCURL_DISABLE_ALTSVC=ON -DCURL_DISABLE_HSTS=ON \
    -DCURL_DISABLE_COOKIES=ON -DCURL_DISABLE_NTLM=ON -DCURL_DISABLE_NETRC=ON
  cmake --build "$1/b"
  cmake --install "$1/b"
  rm -rf "$2/bin" "$2/share"
}

build() { # lock
  folder=$(folder_of "$1")
  if is_built "$folder"; then return; fi
  work=$cache/work
  rm -rf "$work" "$folder"
  mkdir -p "$work" "$folder"
  unset CFLAGS CPPFLAGS LDFLAGS
  export CC="$compiler" SOURCE_DATE_EPOCH=0
  for package in openssl curl; do
    step "building $package $(version_in "$1" "$package")"
    log=$cache/$package.log
    if ! { unpack "$1" "$package" "$work/$package" && ( set -e; "build_$package" "$work/$package" "$folder" ); } \
      >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      fail "$package does not build; all that it said is in $log"
    fi
  done
  rm -rf "$work"
  cp "$1" "$folder/lock" # the last step: from here on it is built
  step "ready"
}

# Exactly what the lock names.
fetch_locked() { # 1: the archive does not have it
  have_sources "$lock" && return
  [ "$(sed -n 's/^distribution //p' "$lock")" = "$(distribution)" ] || return 1
  prepare_apt
  for package in openssl curl; do
    pinned=$(version_in "$lock" "$package")
    fetch "$package" "$pinned"
    offered=$(versions_of "$package" | head -n 1)
    [ "$offered" = "$pinned" ] || step "$package $offered is out; to take it in: sh $script --update"
  done
  have_sources "$lock"
}

behind() {
  printf 'packaging/static_dependencies.lock (%s: openssl %s, curl %s)' "$(sed -n 's/^distribution //p' "$lock")" \
    "$(version_in "$lock" openssl)" "$(version_in "$lock" curl)"
}

update() {
  cp "$lock" "$cache/before.lock" 2>/dev/null || : >"$cache/before.lock"
  write_lock "$lock"
  build "$lock"
  for package in openssl curl; do
    before=$(version_in "$cache/before.lock" "$package")
    after=$(version_in "$lock" "$package")
    if [ "$before" != "$after" ]; then
      echo "$package: ${before:-none} -> $after"
    elif [ "$(grep "^$package " "$lock")" = "$(grep "^$package " "$cache/before.lock")" ]; then
      echo "$package $after: as before"
    else
      echo "$package $after: the same version, of other files"
    fi
  done
  cmp -s "$lock" "$cache/before.lock" || echo "Run the tests, then commit $lock."
}

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
      "what apt-get said is in $cache/apt"
    build "$lock"
    ;;
  --or-newest)
    if where >/dev/null; then exit 0; fi
    if fetch_locked; then
      build "$lock"
    else
      step "not offered here: $(behind)"
      write_lock "$newest"
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
