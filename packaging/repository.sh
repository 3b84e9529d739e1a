#!/bin/sh
# Puts packages into a signed apt repository (DIR/apt) and a signed yum repository (DIR/yum), both plain folders that
# any web server can serve. What is in there already stays, so that a downgrade is possible; a version that was
# published is never replaced. The records of who built them (*.provenance.json) go, signed, into DIR/provenance. The
# key is one of gpg's: RSA, because the rpm of RHEL 7 knows no other.
#
#   sh packaging/repository.sh --key KEYID --out DIR PACKAGE...
#
# What a host needs to know, with https://repo.example.com for the address:
#
#   apt   cp msp-agent.asc /usr/share/keyrings/
#         deb [signed-by=/usr/share/keyrings/msp-agent.asc] https://repo.example.com/apt stable main
#   yum   [msp-agent]
#         name=msp-agent
#         baseurl=https://repo.example.com/yum/$basearch
#         gpgkey=https://repo.example.com/msp-agent.asc
#         gpgcheck=1
#         repo_gpgcheck=1
set -eu
export LC_ALL=C
umask 022
key= out=

fail() {
  echo "repository.sh: $*" >&2
  exit 1
}

usage() {
  sed -n 's/^#   //p' "$0" | sed 1q >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1,${2-} in
    --key,?*) key=$2 ;;
    --out,?*) out=$2 ;;
    -*) usage ;;
    *) break ;;
  esac
  shift 2
done
[ -n "$key" ] && [ -n "$out" ] && [ $# -gt 0 ] || usage
for tool in gpg apt-ftparchive createrepo_c rpmsign; do
  command -v $tool >/dev/null || fail "there is no $tool; run: sh packaging/dependencies.sh package"
done
sign() { gpg --batch --yes --quiet --local-user "$key" --digest-algo SHA256 "$@"; }
gpg --batch --list-secret-keys "$key" >/dev/null 2>&1 ||
  fail "gpg has no secret key $key; gpg --list-secret-keys shows those it has, GNUPGHOME is where it looks"
for package in "$@"; do
  [ -f "$package" ] || fail "$package: there is no such file; sh packaging/packages.sh makes packages"
done

mkdir -p "$out/apt/pool" "$out/yum"
apt=$(cd "$out/apt" && pwd)
yum=$(cd "$out/yum" && pwd)

add_deb() { # file
  place=$apt/pool/$(dpkg-deb --field "$1" Package)_$(dpkg-deb --field "$1" Version | tr : _)_$(dpkg-deb --field "$1" \
    Architecture).deb
  if [ ! -e "$place" ]; then
    cp "$1" "$place.new" && mv "$place.new" "$place"
  else
    cmp -s "$1" "$place" || fail "$1: ${place##*/} was published with other content; give this another version"
  fi
}

# Unsigned it is compared by the digest of its header and payload.
digest_of() { rpm --query --package --nosignature --queryformat '%{SIGMD5}' "$1"; }

# A host looks into the folder of its own architecture and no other.
add_rpm() { # file
  architecture=$(rpm --query --package --nosignature --queryformat '%{ARCH}' "$1")
  [ "$architecture" != noarch ] || architecture="x86_64 aarch64"
  for folder in $architecture; do
    add_rpm_to "$folder" "$1"
  done
}

add_rpm_to() { # architecture, file
  place=$yum/$1/Packages
  shift
  place=$place/$(rpm --query --package --nosignature --queryformat '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}' "$1").rpm
  if [ ! -e "$place" ]; then
    mkdir -p "${place%/*}"
    cp "$1" "$place.new"
    # Debian's rpmsign asks for a program that is not there, and then says that all is well: hence the second look.
    said=$(rpmsign --define "__gpg $(command -v gpg)" --define "_gpg_name $key" \
      --define "_gpg_digest_algo sha256" --addsign "$place.new" 2>&1) &&
      rpm --query --package --nosignature --queryformat '%{RSAHEADER:pgpsig}' "$place.new" | grep -q 'RSA/SHA256' || {
      rm -f "$place.new"
      fail "$1 cannot be signed with $key: $said; rpm takes RSA keys"
    }
    mv "$place.new" "$place"
  else
    [ "$(digest_of "$1")" = "$(digest_of "$place")" ] ||
      fail "$1: ${place##*/} was published with other content; give this another version"
  fi
}

add_record() { # file
  mkdir -p "$out/provenance"
  place=$out/provenance/${1##*/}
  cp "$1" "$place"
  sign --armor --detach-sign --output "$place.asc" "$place"
}

for package in "$@"; do
  case $package in
    *.provenance.json) add_record "$package" ;;
    *.deb) add_deb "$package" ;;
    *.rpm) add_rpm "$package" ;;
    *) fail "$package: no .deb, no .rpm and no .provenance.json; leave it out" ;;
  esac
done

# apt's index is made beside the old one and takes its place when it is signed.
dists=$apt/dists.new
rm -rf "$dists"
cd "$apt"
# What is for all of them is in the index of each.
architectures=$(find pool -name '*.deb' | sed 's/.*_\(.*\)[.]deb$/\1/;s/^all$/amd64\narm64/' | sort -u | tr '\n' ' ')
for architecture in $architectures; do
  index=$dists/stable/main/binary-$architecture
  mkdir -p "$index"
  apt-ftparchive --arch "$architecture" -o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false packages pool \
    >"$index/Packages"
  gzip -9nk "$index/Packages"
done
if [ -n "$architectures" ]; then
  release=APT::FTPArchive::Release
  apt-ftparchive -o $release::Origin=msp-agent -o $release::Label=msp-agent -o $release::Suite=stable \
    -o $release::Codename=stable -o $release::Components=main -o "$release::Architectures=${architectures% }" \
    -o $release::MD5=false -o $release::SHA1=false release "$dists/stable" >"$apt/Release.new"
  mv "$apt/Release.new" "$dists/stable/Release"
  sign --clearsign --output "$dists/stable/InRelease" "$dists/stable/Release"
  sign --armor --detach-sign --output "$dists/stable/Release.gpg" "$dists/stable/Release"
  rm -rf dists
  mv "$dists" dists
fi

for folder in "$yum"/*/; do
  [ -d "$folder/Packages" ] || continue
  # gz and no database: what yum of RHEL 7 reads, and no more.
  createrepo_c --quiet --update --compress-type gz --no-database "$folder"
  sign --armor --detach-sign --output "$folder/repodata/repomd.xml.asc" "$folder/repodata/repomd.xml"
done
gpg --batch --armor --export "$key" >"$apt/../msp-agent.asc"
echo "$(find "$apt/pool" -name '*.deb' | wc -l) .deb in $apt, $(find "$yum" -name '*.rpm' | wc -l) .rpm in $yum"
