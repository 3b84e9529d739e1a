#!/bin/sh
# Prints the bill of materials of a built binary, CycloneDX 1.5 in JSON: what is linked into it or compiled in as a
# header, in the versions that were really there. They come from the lock of packaging/static_dependencies.sh for what
# it builds or unpacks, from dpkg for the rest. Of what it builds, each of the distribution's patches is named, with the
# CVEs that it names itself. contents_test.py fails when the build uses what this list lacks.
#
#   sh packaging/sbom.sh BUILD_FOLDER
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC

# name, Debian source package of what the lock builds or - , Debian package, licence (SPDX)
components='
openssl     openssl  libssl-dev        Apache-2.0
curl        curl     libcurl-dev       curl
c-ares      c-ares   libc-ares-dev     MIT
protobuf    -        libprotobuf-dev   BSD-3-Clause
snappy      -        libsnappy-dev     BSD-3-Clause
zstd        libzstd  libzstd-dev       BSD-3-Clause
yaml-cpp    yaml-cpp libyaml-cpp-dev   MIT
zlib        -        zlib1g-dev        Zlib
spdlog      -        libspdlog-dev     MIT
fmt         -        libfmt-dev        MIT
CLI11       -        libcli11-dev      BSD-3-Clause
boost       -        libboost1.74-dev  BSL-1.0
re2         re2      libre2-dev        BSD-3-Clause
xxhash      -        libxxhash-dev     BSD-2-Clause
glibc       -        libc6-dev         LGPL-2.1-or-later
libstdc++   -        libstdc++-dev     GPL-3.0-or-later WITH GCC-exception-3.1
'

. "$build/built-with.sh" # written by packaging/packages.cmake: version, architecture, compiler, lock
distribution=$(. /etc/os-release && echo "$ID")
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-unstable}")

# "package version" of the compiler's own library: its package has the compiler's version in its name.
libstdcpp() {
  major=$("$compiler" -dumpversion | cut -d . -f 1)
  for package in "libstdc++-$major-dev:$architecture" "libstdc++-$major-dev-$architecture-cross"; do
    dpkg-query -W -f '${Package} ${Version}\n' "$package" 2>/dev/null && return
  done
}

# "package version [release]": the lock's word goes first.
found() { # source package or -, Debian package
  awk -v source="$1" -v package="$2:$architecture" -v plain="$2" '
    $1 == source { print source, $2, $5; exit }
    $1 == package { print plain, $2, $5; exit }' "$lock" | grep . ||
    if [ "$2" = libstdc++-dev ]; then libstdcpp; else
      dpkg-query -W -f '${Package} ${Version}\n' "$2:$architecture" 2>/dev/null ||
        dpkg-query -W -f '${Package} ${Version}\n' "$2"
    fi
}

# The patches that were applied to a source before it was compiled (CycloneDX: pedigree).
pedigree() { # source package
  awk -v source="$1" '
    $1 != source { next }
    {
      printf "%s\n      {\"type\": \"backport\", \"diff\": {\"url\": \"debian/patches/%s\"}", comma, $2
      comma = ","
      if (NF > 2) {
        printf ", \"resolves\": ["
        for (i = 3; i <= NF; ++i) printf "%s{\"type\": \"security\", \"id\": \"%s\"}", (i > 3 ? ", " : ""), $i
        printf "]"
      }
      printf "}"
    }' "${lock%/*}/patches"
}

list() {
  separator=
  echo "$components" | while read -r name source package licence; do
    [ -n "$name" ] || continue
    if ! known=$(found "$source" "$package"); then
      echo "sbom.sh: no version of $name: $package is not installed and not in $lock" >&2
      exit 1
    fi
    # shellcheck disable=SC2086  # words on purpose
    set -- $known
    is=$1 full=$2 kind="?arch=$architecture&distro=${3:-$release}"
    if [ "$is" = "$source" ]; then kind="?arch=source&distro=$3"; fi
    plain=${full#*:} plain=${plain%-*} plain=${plain%%+d*} # upstream's: no epoch, no revision, no +dfsg
    case $licence in
      *' '*) licence="{\"expression\": \"$licence\"}" ;;
      *) licence="{\"license\": {\"id\": \"$licence\"}}" ;;
    esac
    printf '%s    {"type": "library", "bom-ref": "%s", "name": "%s", "version": "%s",\n     "licenses": [%s],\n' \
      "$separator" "$name" "$name" "$plain" "$licence"
    printf '     "purl": "pkg:deb/%s/%s@%s%s"' "$distribution" "$(printf '%s' "$is" | sed 's/+/%2B/g')" \
      "$(printf '%s' "$full" | sed 's/+/%2B/g; s/:/%3A/g; s/~/%7E/g')" "$kind"
    if [ "$is" = "$source" ]; then
      patches=$(pedigree "$source")
      printf ',\n     "pedigree": {"notes": "upstream %s, the patches of %s %s, the edits of static_recipes.sh",' \
        "$plain" "$distribution's" "$full"
      printf '\n      "patches": [%s]}' "$patches"
    fi
    printf '}'
    separator=',
'
  done
}

listed=$(list)
sum=$(sha256sum "$build/msp-agent" | cut -d ' ' -f 1)
# A serial number of the content, so that the same build has the same one: a UUID of version 8.
serial=$(printf '%s%s' "$sum" "$listed" | sha256sum |
  sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-8\3-8\4-\5/')
cat <<JSON
{
  "bomFormat": "CycloneDX",
  "specVersion": "1.5",
  "serialNumber": "urn:uuid:$serial",
  "version": 1,
  "metadata": {
    "timestamp": "$(date -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)",
    "component": {"type": "application", "bom-ref": "msp-agent", "name": "msp-agent", "version": "$version",
      "licenses": [{"license": {"id": "Apache-2.0"}}],
      "hashes": [{"alg": "SHA-256", "content": "$sum"}]}
  },
  "components": [
$listed
  ],
  "dependencies": [
    {"ref": "msp-agent", "dependsOn": [$(echo "$components" | awk 'NF { printf "%s\"%s\"", comma, $1; comma = ", " }')]}
  ]
}
JSON
