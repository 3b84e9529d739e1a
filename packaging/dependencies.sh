#!/bin/sh
# Installs what the build or the tests need from the distribution's own packages (Debian, Ubuntu): only what is missing,
# nothing at all and at once when nothing is. Services that come with a package are not started.
#
#   sh packaging/dependencies.sh build    what it takes to build build/release/msp-agent
#   sh packaging/dependencies.sh cross    that, and what it takes to build build/release-arm64/msp-agent
#   sh packaging/dependencies.sh package  the first, and what makes packages and repositories of it
#   sh packaging/dependencies.sh demo     the first, and the VictoriaMetrics of packaging/quickstart.sh
#   sh packaging/dependencies.sh graph    that, and the Prometheus of quickstart.sh --graph
#   sh packaging/dependencies.sh test     all of that, and all that tests/run.sh uses
set -eu

build='g++ cmake ninja-build pkg-config protobuf-compiler libprotobuf-dev libsnappy-dev libzstd-dev libxxhash-dev
  libcurl4-openssl-dev libssl-dev dpkg-dev libcli11-dev libre2-dev libyaml-cpp-dev libspdlog-dev
  libfmt-dev libboost-dev python3-six unicode-data zlib1g-dev'
cross='g++-aarch64-linux-gnu lld'
package='apt-utils createrepo-c git gnupg gzip rpm xz-utils'
demo='curl ca-certificates iproute2 python3 victoria-metrics'
test='ansible-core catch2 clang-format debootstrap dnf dnsmasq-base fish fuse3 libfuse3-dev lintian mandoc
  libnginx-mod-mail mariadb-server nftables nginx openssl prometheus prometheus-alertmanager
  prometheus-blackbox-exporter prometheus-mysqld-exporter prometheus-nginx-exporter prometheus-node-exporter
  prometheus-process-exporter prometheus-redis-exporter python3 python3-apt qemu-system-x86 qemu-user-static
  redis-server rpmlint strace systemd-container util-linux valgrind zsh'
[ "$(uname -m)" != aarch64 ] || build="$build lld" # packaging/static.cmake says why

usage() {
  sed -n 's/^#   //p' "$0" >&2
  exit 2
}

[ $# -eq 1 ] || usage
case $1 in
  build) wanted=$build ;;
  cross) wanted="$build $cross" ;;
  package) wanted="$build $package" ;;
  demo) wanted="$build $demo" ;;
  graph) wanted="$build $demo prometheus" ;;
  test) wanted="$build $cross $package $demo $test" ;;
  *) usage ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "dependencies.sh: this is neither Debian nor Ubuntu; install the equivalents of:" >&2
  echo "$wanted" | xargs -n 8 echo "  " >&2
  exit 1
fi

# One question for all packages: this is the whole run when nothing is missing. dpkg-query is not happy about unknown
# packages but lists the others.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p') || true
missing=
for package in $wanted; do
  case "
$installed
" in
    *"
$package
"*) ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null; then
  as_root=sudo
else
  echo "dependencies.sh: these packages are missing and only root can install them:$missing" >&2
  echo "  run as root:  apt-get install --no-install-recommends$missing" >&2
  exit 1
fi

echo "Installing with apt-get:$missing" >&2

# invoke-rc.d and deb-systemd-invoke ask this program before they start a service. Whoever has one keeps it; ours goes
# again, whatever happens. A service that is running is not touched: only new packages are installed.
policy=/usr/sbin/policy-rc.d
policy_is_ours=
finish() {
  if [ -n "$policy_is_ours" ]; then $as_root rm -f "$policy"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
  policy_is_ours=yes
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
fi

apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >&2
}
apt update
# shellcheck disable=SC2086  # words on purpose
apt install -y --no-install-recommends $missing || {
  echo "dependencies.sh: apt-get could not install all of:$missing" >&2
  echo "  what it says above is the reason; then run this again" >&2
  exit 1
}

# Not started now, and not at the next boot either: the machine is as it was, plus programs.
if [ -d /run/systemd/system ] && [ -n "$policy_is_ours" ]; then
  for package in $missing; do
    case $package in
      victoria-metrics | nginx | prometheus | prometheus-alertmanager | prometheus-*-exporter | redis-server)
        $as_root systemctl disable --quiet "$package.service" || true
        ;;
      mariadb-server) $as_root systemctl disable --quiet mariadb.service || true ;;
    esac
  done
fi
