#!/bin/sh
# Builds the release binary and makes of it what is shipped: a .deb, an .rpm and the tarball for closed networks, and
# beside the binary the packages msp-agent-textfile for every architecture. The
# same commit gives the same bytes, in any folder: dates are those of the commit (or SOURCE_DATE_EPOCH).
# The version is the newest heading of CHANGELOG.md. Beside them lies a record of who built them from what
# (packaging/provenance.sh), which alone differs from one build to the next.
#
#   sh packaging/packages.sh [--out DIR]     into DIR (build/packages); prints what it made
#
#   --preset release-arm64    of another release build than `release`
#   --or-newest               as packaging/static_dependencies.sh has it; not for a release
set -eu
cd "$(dirname "$0")/.."
root=$PWD
out=$root/build/packages
preset=release
sources=
command="sh packaging/packages.sh${*:+ $*}"

usage() {
  sed -n 's/^#   //p' "$0" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1,${2-} in
    --or-newest,*)
      sources=--or-newest
      shift
      continue
      ;;
    --out,?*) mkdir -p "$2" && out=$(cd "$2" && pwd) ;;
    --preset,?*) preset=$2 ;;
    *) usage ;;
  esac
  shift 2
done
build=$root/build/$preset
case $preset in
  *-arm64) machine=aarch64 ;;
  *) machine=$(uname -m) ;;
esac

step() { # name, command...
  echo "packages.sh: $1" >&2
  shift
  if ! "$@" >"$root/build/packages.log" 2>&1; then
    tail -n 30 "$root/build/packages.log" >&2
    echo "packages.sh: that failed; the reason is above, all that it said is in build/packages.log" >&2
    exit 1
  fi
}

if [ -z "${SOURCE_DATE_EPOCH-}" ]; then
  SOURCE_DATE_EPOCH=$(git -c safe.directory="$root" log -1 --format=%ct 2>/dev/null) || {
    echo "packages.sh: this is not a git checkout, so it has no date; set SOURCE_DATE_EPOCH, as date +%s has it" >&2
    exit 1
  }
fi
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

mkdir -p build "$out"
sh packaging/dependencies.sh package
if [ "$machine" = "$(uname -m)" ]; then
  sh packaging/static_dependencies.sh $sources
else
  sh packaging/dependencies.sh cross
  sh packaging/static_dependencies.sh --arch "$machine" $sources
fi
step "configuring $preset" cmake --preset "$preset" -DMSP_AGENT_TESTS=OFF
step "building $preset" cmake --build --preset "$preset" --target msp-agent
. "$build/built-with.sh" # version, architecture

packed=$build/packed
rm -rf "$packed"
step "packing $version" cpack --config "$build/CPackConfig.cmake" -B "$packed"
step "packing $version of msp-agent-textfile" \
  cpack --config "$build/CPackConfig.cmake" -B "$packed/textfile" -D MSP_AGENT_PACKAGE=textfile
mv "$packed"/textfile/*.deb "$packed"/textfile/*.rpm "$packed/"

# The tarball holds the files where the packages put them, under files/, and the installer.
name=msp-agent-$version-linux-$architecture
tree=$packed/$name
step "tarball" cmake --install "$build" --component common --prefix "$tree/files"
cp LICENSE packaging/tarball/install.sh "$tree/"
chmod 755 "$tree/install.sh"
chmod -R go-w "$tree"
(cd "$tree" && find . -type f ! -name SHA256SUMS | sort | xargs sha256sum >SHA256SUMS)
tar -C "$packed" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar "--mtime=@$SOURCE_DATE_EPOCH" \
  -cf - "$name" | gzip -9n >"$packed/$name.tar.gz"

record=$packed/msp-agent-$version-$architecture.provenance.json
sh packaging/provenance.sh "$build" "$command" "$packed"/*.deb "$packed"/*.rpm "$packed"/*.tar.gz >"$record"

for file in "$packed"/*.deb "$packed"/*.rpm "$packed"/*.tar.gz "$record"; do
  mv "$file" "$out/"
  echo "$out/${file##*/}"
done
