#!/bin/sh
# Installs msp-agent from the folder that this file is in, for hosts that reach no repository: any Linux with systemd.
# It looks at everything before it changes anything, says what it did, and can be run again. A configuration that is
# there is kept.
#
#   sh install.sh --customer-id ID --url URL [--server-name NAME] [--label NAME=VALUE]...
#   sh install.sh                  takes in this version; there is a configuration already
#   sh install.sh --uninstall      removes it all: program, configuration, what is not delivered yet, user
set -eu
umask 022
export LC_ALL=C PATH="/usr/sbin:/usr/bin:/sbin:/bin:${PATH:-}"
here=$(cd "$(dirname "$0")" && pwd)
agent=$here/files/usr/bin/msp-agent
config=/etc/msp-agent.yaml
state=/var/lib/msp-agent
list=/usr/share/doc/msp-agent/installed-files # what this script has made: files, and folders with a / behind
work=

fail() { # what is wrong, what to do
  echo "install.sh: $1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

usage() {
  sed -n 's/^#   //p' "$0" >&2
  exit 2
}

did() { printf '  %s\n' "$*"; }

clean_up() { if [ -n "$work" ]; then rm -rf "$work"; fi; }
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# In single quotes, as YAML has them, with nothing taken from the environment.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g; s/[\$]/\$\$/g")"; }

is_running() { [ -d /run/systemd/system ]; } # systemd is

# ---- looks, and changes nothing

read_options() {
  customer= server= url= labels= uninstall= is_told=
  while [ $# -gt 0 ]; do
    case $1 in
      --uninstall)
        uninstall=yes
        shift
        continue
        ;;
      --customer-id | --server-name | --url | --label) [ $# -ge 2 ] && [ -n "$2" ] || usage ;;
      *) usage ;;
    esac
    case $2 in *'
'*) fail "$1: a value of more than one line" "give it in one line" ;; esac
    is_told=yes
    case $1,$2 in
      --customer-id,*) customer=$2 ;;
      --server-name,*) server=$2 ;;
      --url,*) url=$2 ;;
      --label,?*=*) labels="$labels${labels:+, }$(quoted "${2%%=*}"): $(quoted "${2#*=}")" ;;
      *) fail "--label '$2': a label is NAME=VALUE" "such as: --label region=ap-northeast-2" ;;
    esac
    shift 2
  done
  [ -z "$uninstall" ] || [ -z "$is_told" ] || usage
}

check_host() {
  [ "$(id -u)" -eq 0 ] || fail "only root can do this" "run: sudo sh $0 ..."
  for tool in awk chmod chown cp find getent groupadd mktemp mv sed sha256sum systemctl useradd; do
    command -v "$tool" >/dev/null || fail "this host has no '$tool'" "it needs systemd and the usual tools of a server"
  done
  if { command -v dpkg-query && dpkg-query -S /usr/bin/msp-agent; } >/dev/null 2>&1 ||
    { command -v rpm && rpm -qf /usr/bin/msp-agent; } >/dev/null 2>&1; then
    fail "msp-agent is installed as a package on this host" "upgrade it with the package manager, or remove it there"
  fi
}

check_files() {
  said=$(cd "$here" && sha256sum --check --quiet SHA256SUMS 2>&1) ||
    fail "these files are not what they were when they were packed; copy them again" "$said"
  version=$("$agent" --version 2>&1) ||
    fail "$agent does not run on this host ($(uname -m)): $version" \
      "take the tarball for this architecture, and unpack it in a folder that is not mounted noexec"
}

# The agent itself says what is wrong with a configuration.
check_config() { # file, what it is
  code=0
  "$agent" --config "$1" --dry-run >"$work/samples" 2>"$work/errors" || code=$?
  [ "$code" -eq 0 ] || fail "$2:" "$(sed "s|.*$1|${1##*/}|" "$work/errors")"
}

has_label() { grep -q -F "$1=\"$2\"" "$work/samples"; } # name, value

check_kept_config() {
  check_config $config "$config is there and is kept, but the agent does not accept it"
  [ -z "$customer" ] || has_label customer_id "$customer" ||
    fail "$config is there and names another customer_id than $customer" "edit it, or move it away to get a new one"
  [ -z "$server" ] || has_label server_name "$server" ||
    fail "$config is there and names another server_name than $server" "edit it, or move it away to get a new one"
}

# The configuration that comes with the agent, with the values filled in.
make_config() {
  [ -n "$customer" ] && [ -n "$url" ] ||
    fail "there is no $config yet, so --customer-id and --url are needed" \
      "such as: sh $0 --customer-id alpha --url https://monitor.example.com/api/v1/write"
  customer=$(quoted "$customer") server=${server:+$(quoted "$server")} url=$(quoted "$url") labels=$labels awk '
    /^customer_id: / { print "customer_id: " ENVIRON["customer"]; next }
    /^  url: / { print "  url: " ENVIRON["url"]; next }
    /^#server_name:/ && ENVIRON["server"] != "" { print "server_name: " ENVIRON["server"]; next }
    /^#labels:/ && ENVIRON["labels"] != "" { print "labels: {" ENVIRON["labels"] "}"; next }
    { print }' "$here/files$config" >"$work/msp-agent.yaml"
  check_config "$work/msp-agent.yaml" "the agent does not accept these values"
}

# ---- changes

make_folder() { # path; parents too, and into the list
  [ ! -d "$1" ] || return 0
  make_folder "${1%/*}"
  mkdir "$1"
  echo "$1/" >>"$work/list"
}

install_file() { # path
  make_folder "${1%/*}"
  cp "$here/files$1" "$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1" # at once: the old one may be running
  echo "$1" >>"$work/list"
  did "installed $1"
}

install_all() {
  if [ -e $list ]; then grep '/$' $list >"$work/list" || true; fi
  (cd "$here/files" && find usr -type f | sort) >"$work/files"
  while IFS= read -r file; do
    case $file in usr/bin/*) mode=755 ;; *) mode=644 ;; esac
    install_file "/$file" $mode
  done <"$work/files"
  if [ -e $list ]; then
    while IFS= read -r old; do
      case $old in */) continue ;; esac
      if ! grep -q -x -F "$old" "$work/list" && [ "$old" != "$list" ]; then rm -f "$old" && did "removed $old"; fi
    done <$list
  fi
  echo $list >>"$work/list"
  cp "$work/list" $list
  if command -v restorecon >/dev/null; then restorecon -F $(grep -v '/$' $list) 2>/dev/null || true; fi
}

make_user() {
  getent group msp-agent >/dev/null || groupadd --system msp-agent
  getent passwd msp-agent >/dev/null && return
  shell=/sbin/nologin
  [ -x "$shell" ] || shell=/usr/sbin/nologin
  useradd --system --gid msp-agent --home-dir $state --no-create-home --shell "$shell" --comment msp-agent msp-agent
  did "made the user msp-agent"
}

install_config() {
  if [ -e $config ]; then
    did "kept $config as it is${is_told:+: of the options nothing was written}"
    return
  fi
  (umask 077 && cp "$work/msp-agent.yaml" $config.new)
  chown root:msp-agent $config.new
  chmod 640 $config.new
  mv $config.new $config
  did "wrote $config"
}

start() {
  systemctl --quiet enable msp-agent.service 2>/dev/null || systemctl enable msp-agent.service
  if ! is_running; then
    did "enabled msp-agent.service; systemd does not run here: it starts with the next boot"
    return
  fi
  systemctl daemon-reload
  if systemctl restart msp-agent.service && systemctl --quiet is-active msp-agent.service; then
    did "enabled and started msp-agent.service"
  else
    fail "msp-agent.service does not start" "see why, and mend it: journalctl -u msp-agent -n 20"
  fi
}

install() {
  if [ -e $config ]; then check_kept_config; else make_config; fi
  echo "$version:"
  make_user
  install_all
  install_config
  if [ ! -d $state ]; then mkdir $state && did "made $state"; fi
  chown msp-agent:msp-agent $state
  chmod 750 $state
  start
}

uninstall() {
  if [ ! -e $list ] && [ ! -e $config ]; then
    echo "msp-agent is not installed"
    return
  fi
  if is_running; then systemctl stop msp-agent.service 2>/dev/null || true; fi
  systemctl --quiet disable msp-agent.service 2>/dev/null || true
  if [ -e $list ]; then
    cp $list "$work/list"
    while IFS= read -r path; do
      case $path in */) ;; *) rm -f "$path" && did "removed $path" ;; esac
    done <"$work/list"
    # The folders, the last made first; what others use by now stays.
    grep '/$' "$work/list" | sort -r -u | while IFS= read -r folder; do rmdir "$folder" 2>/dev/null || true; done
  fi
  for path in $config $state; do
    if [ -e $path ]; then rm -rf $path && did "removed $path"; fi
  done
  if getent passwd msp-agent >/dev/null; then userdel msp-agent && did "removed the user msp-agent"; fi
  if getent group msp-agent >/dev/null; then groupdel msp-agent; fi
  if is_running; then
    systemctl daemon-reload
    systemctl reset-failed msp-agent.service 2>/dev/null || true
  fi
}

read_options "$@"
check_host
work=$(mktemp -d)
if [ -n "$uninstall" ]; then
  uninstall
else
  check_files
  install
fi
