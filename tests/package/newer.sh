#!/bin/sh
# Packages of a later version, for upgrades: the same binary and a configuration file of another content.
#
#   sh tests/package/newer.sh VERSION DIR
set -eu
version=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'file(APPEND "${CPACK_TEMPORARY_DIRECTORY}/etc/msp-agent.yaml" "\n# As it comes with a later version.\n")' \
  >"$work/newer.cmake"
SOURCE_DATE_EPOCH=$(date +%s) cpack --config build/release/CPackConfig.cmake -B "$work" \
  -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip -D CPACK_RPM_COMPRESSION_TYPE=gzip \
  -D CPACK_PACKAGE_VERSION="$version" -D CPACK_PRE_BUILD_SCRIPTS="$work/newer.cmake" >"$out/cpack.log" 2>&1 || {
  cat "$out/cpack.log" >&2
  exit 1
}
mv "$work"/*.deb "$work"/*.rpm "$out/"
