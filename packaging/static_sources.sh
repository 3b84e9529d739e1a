# Where the sources of the static binary come from: read by packaging/static_dependencies.sh, whose variables it uses.
# Every library is built from a complete source package of the distribution: upstream's archive and the distribution's
# patches, which hold its security fixes. An archive without those patches is refused.

# Debian 12 ends with OpenSSL 3.0, whose upstream support ended on 2026-09-07. 3.5 is supported until 2030: taken from
# the sources of Debian 13, from the same archive and checked against the same keys. All else is of the release itself.
release_of() { # package
  case $1:$(own_release) in
    openssl:bookworm) printf trixie ;;
    *) own_release ;;
  esac
}

own_release() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-unstable}"); }

# deb-src, deb-src-RELEASE for the sources of another release, or deb for the binary packages of arm64.
kind_of() { # package
  case $1:$(release_of "$1") in
    *:arm64:*) printf deb ;;
    *:"$(own_release)") printf deb-src ;;
    *) printf 'deb-src-%s' "$(release_of "$1")" ;;
  esac
}

# The sources of apt as they are, but of that kind; with lists of their own.
prepare_apt() { # kind
  apt=$cache/apt-$1
  [ ! -e "$apt/asked-by-$$" ] || return 0
  rm -rf "$apt"
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial" "$sources"
  : >"$apt/status"
  type=${1%%-src-*}
  [ "$type" = "$1" ] || type=deb-src
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    case $file in
      *.sources) sed "s/^Types:.*/Types: $type/" "$file" ;;
      *) sed -n "s/^[[:space:]]*deb\([[:space:]]\)/$type\1/p" "$file" ;;
    esac | of_release "${1#"$type"}" >"$apt/parts/${file##*/}"
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
    fail "apt-get update brought no list of packages ($1); it said:" "$(tail -n 5 "$apt/update.log")"
  : >"$apt/asked-by-$$"
}

# Lines of apt's sources on stdin, with the suites of another release in the place of this one's. Twice, for two suites
# that stand side by side share a space.
of_release() { # nothing, or "-RELEASE"
  [ -n "$1" ] || {
    cat
    return
  }
  other="s/([[:space:]])$(own_release)(-updates|-security)?([[:space:]]|\$)/\\1${1#-}\\2\\3/g"
  sed -E "$other; $other"
}

# An unsigned package is an error, without a question to the user.
as_apt() { # kind, command...
  config=$cache/apt-$1/apt.conf
  shift
  APT_CONFIG=$config "$@" </dev/null
}

# The newest first.
versions_of() { # package
  offered=$(as_apt "$(kind_of "$1")" apt-cache showsrc --only-source "$1" 2>/dev/null | sed -n 's/^Version: //p' |
    sort -u)
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
    *:arm64) how='apt-get -q download' ;;
    *)
      step "fetching $1 $2"
      how='apt-get -q source --download-only'
      ;;
  esac
  # shellcheck disable=SC2086  # words on purpose
  (cd "$sources" && as_apt "$(kind_of "$1")" $how "${1%:arm64}=$2" >"$cache/fetch.log" 2>&1) || true
}

sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# 0: all that the lock names is there and is what it says.
have_sources() { # lock
  files_of "$1" | while read -r _ _ file sum _; do
    [ -f "$sources/$file" ] && [ "$(sha256_of "$sources/$file")" = "$sum" ] || exit 1
  done
}

# The files of a version that are a lock's lines, or nothing when the archive does not have all of them.
lines_of() { # package, version
  fetch "$1" "$2"
  dsc=$sources/${1}_${2#*:}.dsc
  [ -f "$dsc" ] || return 1
  names="${dsc##*/} $(sed -n '/^Checksums-Sha256:/,/^[^ ]/s/^ [0-9a-f]* [0-9]* //p' "$dsc")"
  for name in $names; do [ -f "$sources/$name" ] || return 1; done
  for name in $names; do echo "$1 $2 $name $(sha256_of "$sources/$name") $(release_of "$1") $1"; done
}

# The newest of a package of the sysroot.
sysroot_line_of() { # package
  version=$(as_apt deb apt-cache policy "$1" | sed -n 's/^  Candidate: //p')
  name=$(as_apt deb apt-get download --print-uris "$1" 2>/dev/null | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p")
  [ -n "$name" ] || return 1
  [ -f "$sources/$name" ] || fetch "$1:arm64" "$version"
  [ -f "$sources/$name" ] || return 1
  source=$(dpkg-deb --field "$sources/$name" Source | cut -d ' ' -f 1)
  echo "$1:arm64 $version $name $(sha256_of "$sources/$name") $(release_of "$1") ${source:-$1}"
}

# A lock of what the distribution has now.
write_lock() { # file, "with-sysroot" or nothing
  for package in $built_here; do prepare_apt "$(kind_of "$package")"; done
  [ -z "${2-}" ] || prepare_apt deb
  {
    echo "# Sources of the libraries that are built for the static binary; then the sysroot for 64-bit ARM."
    echo "# Written by: sh $script --update"
    echo "# package version file sha256 release source-package"
    echo "distribution $(distribution)"
    for package in $built_here; do
      found=
      for version in $(versions_of "$package"); do
        found=$(lines_of "$package" "$version") && break
        found=
        step "the archive announces $package $version and does not have all its files: not taken"
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

# With the distribution's patches, or not at all.
unpack() { # lock, package, folder
  dsc=$(files_of "$1" | awk -v package="$2" '$1 == package && $3 ~ /[.]dsc$/ { print $3 }')
  if [ -z "$dsc" ]; then
    echo "the lock names upstream's archive of $2 $(version_in "$1" "$2") without the distribution's patches, which" \
      "hold its security fixes; take in a complete source package: sh $script --update"
    return 1
  fi
  # Its signature is apt's business and its checksum is the lock's.
  dpkg-source --no-check -x "$sources/$dsc" "$3" && are_patches_applied "$2" "$3"
}

# The distribution's patches that were applied to an unpacked source, in order.
applied_patches() { cat "$1/.pc/applied-patches" 2>/dev/null || true; } # folder

# All of the series, and the series leaves out no fix: a source of format 1.0 is unpacked with none of them applied.
are_patches_applied() { # package, folder
  patches=$2/debian/patches
  [ -d "$patches" ] || return 0
  listed=$(sed 's/[[:space:]]*#.*//; s/[[:space:]].*//; /^$/d' "$patches/series" 2>/dev/null) || listed=
  if [ "$listed" != "$(applied_patches "$2")" ]; then
    echo "$1: debian/patches/series names patches that dpkg-source did not apply; security fixes may be among them"
    return 1
  fi
  for patch in "$patches"/*CVE-*; do
    [ -f "$patch" ] || continue
    if ! printf '%s\n' "$listed" | grep -qxF "${patch##*/}"; then
      echo "$1: debian/patches/${patch##*/} is a security fix that debian/patches/series leaves out"
      return 1
    fi
  done
}

# A line for each patch: package, patch, and the CVEs that its name or what stands before the diff names.
describe_patches() { # package, folder
  applied_patches "$2" | while read -r patch; do
    named=$({
      echo "$patch"
      sed '/^\(diff \|--- \|Index:\)/,$d' "$2/debian/patches/$patch"
    } | grep -o 'CVE-[0-9]*-[0-9]*' | sort -u | tr '\n' ' ') || named=
    echo "$1 $patch ${named% }"
  done
}

# "openssl 3.5.7 + 23 Debian patches (3.5.7-1~deb13u2)": what `msp-agent --version` says.
describe_version() { # package, version, folder
  upstream=${2#*:} upstream=${upstream%-*}
  count=$(applied_patches "$3" | wc -l)
  echo "${1#lib} ${upstream%%+d*} + $count $(. /etc/os-release && echo "${NAME%% *}") patches ($2)"
}

