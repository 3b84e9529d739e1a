#!/bin/sh
# CHANGELOG.md in the form of deb-changelog(5) or of a spec file's %changelog. A heading is "## VERSION (DATE)"; one
# that is not released yet has the date of SOURCE_DATE_EPOCH.
#
#   sh packaging/changelog.sh deb|rpm
set -eu
cd "$(dirname "$0")/.."
form=$1
maintainer=$(sed -n 's/^set(CPACK_PACKAGE_CONTACT "\(.*\)")$/\1/p' packaging/packages.cmake)
export LC_ALL=C TZ=UTC

date_of() { # what a heading has in brackets, format
  case $1 in
    [0-9]*) date -d "$1" "$2" ;;
    *) date -d "@$SOURCE_DATE_EPOCH" "$2" ;;
  esac
}

item= trailer=
end_of_item() {
  if [ -z "$item" ]; then return; fi
  case $form in
    deb) printf '%s\n' "$item" | fold -s -w 74 | sed 's/ *$//; 1s/^/  * /; 2,$s/^/    /' ;;
    rpm) printf '%s\n' "$item" | sed 's/%/%%/g' | fold -s -w 76 | sed 's/ *$//; 1s/^/- /; 2,$s/^/  /' ;;
  esac
  item=
}
end_of_version() {
  end_of_item
  if [ -n "$trailer" ]; then printf '\n%s\n\n' "$trailer"; fi
}

while IFS= read -r line; do
  case $line in
    '## '*)
      version=${line#'## '} version=${version%% *}
      when=${line#*\(} when=${when%\)*}
      end_of_version
      if [ "$form" = deb ]; then
        printf 'msp-agent (%s) stable; urgency=medium\n\n' "$version"
        trailer=" -- $maintainer  $(date_of "$when" -R)"
      else
        printf '* %s %s - %s-1\n' "$(date_of "$when" '+%a %b %d %Y')" "$maintainer" "$version"
      fi
      ;;
    '- '*)
      end_of_item
      item=${line#- }
      ;;
    '  '*)
      if [ -n "$item" ]; then item="$item ${line#  }"; fi
      ;;
  esac
done <CHANGELOG.md
end_of_version
