#!/bin/sh
# From a fix in the distribution's archive to packages that hosts install, with one command: takes the fixed libraries
# into the lock, names the change as a new version in CHANGELOG.md, runs the tests, commits both, makes the packages of
# both architectures with a record of who built them, and puts them into the signed repositories. It stops at the first
# step that fails, and what is published is then as it was. SECURITY.md says how soon this is due.
#
#   sh packaging/security_update.sh --version VERSION --tracker FILE --key KEYID --out DIR
#
#   --version   of the new packages, such as 0.1.1: one more than the newest in CHANGELOG.md
#   --tracker   the data of Debian's security tracker, as packaging/open_cves.py has it
#   --key       of gpg; --out: the folder of the repositories. Both as packaging/repository.sh has them
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C
version='' tracker='' key='' out=''

fail() {
  echo "security_update.sh: $*" >&2
  exit 1
}

step() { echo "security update: $*" >&2; }

while [ $# -gt 0 ]; do
  case $1,${2-} in
    --version,?*) version=$2 ;;
    --tracker,?*) tracker=$2 ;;
    --key,?*) key=$2 ;;
    --out,?*) mkdir -p "$2" && out=$(cd "$2" && pwd) ;;
    *) version= && break ;;
  esac
  shift 2
done
if [ -z "$version" ] || [ -z "$tracker" ] || [ -z "$key" ] || [ -z "$out" ]; then
  sed -n 's/^#   //p' "$0" >&2
  exit 2
fi
[ -f "$tracker" ] || fail "$tracker: there is no such file; download it first"
[ -z "$(git status --porcelain)" ] || fail "this checkout differs from its commit; commit or stash that first"
newest=$(sed -n 's/^## \([0-9.]*\).*/\1/p' CHANGELOG.md | sed 1q)
{ [ "$version" != "$newest" ] && printf '%s\n' "$newest" "$version" | sort -VC; } ||
  fail "version $version does not come after $newest, the newest in CHANGELOG.md"

step "taking in what the distribution has"
said=$(sh packaging/static_dependencies.sh --update "$tracker")
printf '%s\n' "$said" >&2
changes=$(printf '%s\n' "$said" | sed -n 's/^[^:]*: \(.* -> .*\)$/\1/p')
case $said in
  *'--only-upgrade'*) fail "this host's own libraries are behind, as said above; upgrade them and run this again" ;;
esac
git diff --quiet -- packaging/static_dependencies.lock && fail "there is nothing to take in: the lock is as it was"

# A list item of the form that changelog.sh reads.
entry=$({
  printf 'Security update of the libraries in the binary: '
  printf '%s' "${changes:-the same versions, built anew by the distribution}" | paste -sd , - | sed 's/,/, /g; s/$/./'
} | tr -d '\n' | fold -s -w 116 | sed 's/ *$//; 1s/^/- /; 2,$s/^/  /')
{
  sed '/^## /,$d' CHANGELOG.md
  printf '## %s (%s)\n%s\n\n' "$version" "$(date -u +%F)" "$entry"
  sed -n '/^## /,$p' CHANGELOG.md
} >CHANGELOG.md.new
mv CHANGELOG.md.new CHANGELOG.md

step "testing"
sh tests/run.sh || fail "tests fail; the lock and CHANGELOG.md are changed, nothing is committed or published"
git commit --quiet --message "Security update: $version" packaging/static_dependencies.lock CHANGELOG.md

step "making packages of $version"
packages=build/packages/$version
rm -rf "$packages"
sh packaging/packages.sh --out "$packages"
sh packaging/packages.sh --preset release-arm64 --out "$packages"
sh packaging/repository.sh --key "$key" --out "$out" "$packages"/*.deb "$packages"/*.rpm "$packages"/*.provenance.json
step "$version is in $out; upload that folder, push the commit"
