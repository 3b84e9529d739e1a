#!/bin/sh
# Writes what a package holds beside the files of the tree: compressed man pages, the bill of materials, the changelog
# in the package's own form. Called by CMake's install step; SOURCE_DATE_EPOCH is the date of everything.
#
#   sh packaging/documents.sh common|deb|rpm|textfile|textfile_deb|textfile_rpm BUILD_FOLDER DESTINATION
set -eu
umask 022
component=$1 build=$2 root=${3%/}
cd "$(dirname "$0")/.."

compressed() { # from, to
  mkdir -p "${2%/*}"
  gzip -9nc "$1" >"$2"
}

documents=$root/usr/share/doc/msp-agent
case $component in
  common)
    compressed packaging/man/msp-agent.8 "$root/usr/share/man/man8/msp-agent.8.gz"
    compressed packaging/man/msp-agent.yaml.5 "$root/usr/share/man/man5/msp-agent.yaml.5.gz"
    mkdir -p "$documents"
    sh packaging/sbom.sh "$build" >"$documents/msp-agent.cdx.json"
    # Links to what is elsewhere on a host, and to what is only in the source.
    sed -i -E -e 's|\]\((\.\./)?etc/|](/etc/|g' -e 's|\]\(\.\./systemd/|](/usr/lib/systemd/system/|g' \
      -e 's|\[([^]]+)\]\((\.\./)?(CONTRIBUTING.md\|SECURITY.md\|packaging/[^)]+)\)|\1|g' \
      "$documents"/*.md "$documents"/docs/*.md
    ;;
  deb)
    sh packaging/changelog.sh deb >"$build/changelog.deb"
    compressed "$build/changelog.deb" "$documents/changelog.gz"
    ;;
  textfile)
    # Links to the pages of the first package.
    sed -i -E 's|\]\(([a-z-]+\.md)|](/usr/share/doc/msp-agent/docs/\1|g' \
      "$root/usr/share/doc/msp-agent-textfile/textfile.md"
    ;;
  textfile_deb)
    sh packaging/changelog.sh deb | sed 's/^msp-agent /msp-agent-textfile /' >"$build/changelog.textfile"
    compressed "$build/changelog.textfile" "$root/usr/share/doc/msp-agent-textfile/changelog.gz"
    ;;
  textfile_rpm) sh packaging/changelog.sh rpm >"$build/changelog.rpm" ;; # CPack takes it from there
  rpm)
    sh packaging/changelog.sh rpm >"$build/changelog.rpm" # CPack takes it from there
    mkdir -p "$root/usr/share/licenses/msp-agent"
    # Debian has this text on every host; the others do not.
    cp /usr/share/common-licenses/LGPL-2.1 "$root/usr/share/licenses/msp-agent/"
    ;;
esac
