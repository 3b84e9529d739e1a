#!/bin/sh
# Installs msp-agent from the folder that this file is in, for hosts that reach no repository: any Linux with systemd.
# It looks at everything before it changes anything, says what it did, and can be run again. A configuration that is
# there is kept.
#
#   sh install.sh --customer-id ID --url URL [--server-name NAME] [--label NAME=VALUE]... [--ca-file FILE]
#                                  or whatever `msp-agent init` takes; the CA is copied to /etc/msp-agent-ca.pem
#   sh install.sh                  takes in this version; there is a configuration already
#   sh install.sh --uninstall      removes it all: program, configuration, what is not delivered yet, user
set -eu
umask 022
export LC_ALL=C PATH="/usr/sbin:/usr/bin:/sbin:/bin:${PATH:-}"
here=$(cd "$(dirname "$0")" && pwd)
agent=$here/files/usr/bin/msp-agent
config=/etc/msp-agent.yaml
ca=/etc/msp-agent-ca.pem
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

is_running() { [ -d /run/systemd/system ]; } # systemd is

# ---- looks, and changes nothing

# What concerns this script; `msp-agent init` judges all of them.
read_options() {
  customer= server= ca_given= uninstall= is_told=$#
  before=
  for word in "$@"; do
    case $before,$word in
      --customer-id,*) customer=$word ;;
      --server-name,*) server=$word ;;
      --ca-file,*) ca_given=$word ;;
      --label,*) ;;
      *,--uninstall) uninstall=yes ;;
      *,--help | *,--*=*) usage ;;
    esac
    before=$word
  done
  [ -z "$uninstall" ] || [ $# -eq 1 ] || usage
}

check_host() {
  [ "$(id -u)" -eq 0 ] || fail "only root can do this" "run: sudo sh $0 ..."
  for tool in chmod chown cp find getent groupadd mktemp mv sed sha256sum systemctl useradd; do
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
  version=$(printf '%s\n' "$version" | sed 1q) # what follows names the libraries
}

has_label() { grep -q -F "$1=\"$2\"" "$work/samples"; } # name, value

check_kept_config() {
  "$agent" --config $config --dry-run >"$work/samples" 2>"$work/errors" ||
    fail "$config is there and is kept, but the agent does not accept it:" "$(cat "$work/errors")"
  [ -z "$customer" ] || has_label customer_id "$customer" ||
    fail "$config is there and names another customer_id than $customer" "edit it, or move it away to get a new one"
  [ -z "$server" ] || has_label server_name "$server" ||
    fail "$config is there and names another server_name than $server" "edit it, or move it away to get a new one"
}

make_config() { # options
  if [ -n "$ca_given" ] && ! grep -q 'BEGIN.* CERTIFICATE' "$ca_given"; then
    fail "--ca-file $ca_given: there is no certificate in it" "it is a file in PEM format"
  fi
  left=$#
  while [ "$left" -gt 0 ]; do
    if [ "$1" = --ca-file ] && [ "$left" -gt 1 ]; then
      set -- "$@" "$1" "$ca"
      shift
      left=$((left - 1))
    else
      set -- "$@" "$1"
    fi
    shift
    left=$((left - 1))
  done
  "$agent" --config "$work/msp-agent.yaml" init "$@" >"$work/said" 2>"$work/errors" ||
    fail "there is no $config yet, and none can be made:" "$(sed 's/^msp-agent init: //' "$work/errors")"
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
  link_backoff
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

# For a systemd that knows growing pauses between restarts; another one would warn at every start.
link_backoff() {
  known=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  if [ "${known:-0}" -lt 254 ]; then return; fi
  link=/usr/lib/systemd/system/msp-agent.service.d/restart-backoff.conf
  make_folder ${link%/*}
  ln -sf /usr/share/msp-agent/restart-backoff.conf $link
  echo $link >>"$work/list"
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
    if [ "$is_told" -eq 0 ]; then did "kept $config as it is"; else
      did "kept $config as it is: of the options nothing was written"
    fi
    return
  fi
  if [ -n "$ca_given" ]; then
    cp "$ca_given" $ca
    chmod 644 $ca
    did "copied $ca_given to $ca"
  fi
  sed 's/^msp-agent init: /  /' "$work/errors"
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
  # The second start is without the namespaces that this host cannot make, see ExecStopPost= in the unit.
  if { systemctl restart msp-agent.service 2>/dev/null || systemctl restart msp-agent.service; } &&
    systemctl --quiet is-active msp-agent.service; then
    did "enabled and started msp-agent.service"
  else
    fail "msp-agent.service does not start" "see why, and mend it: journalctl -u msp-agent -n 20"
  fi
}

give_state() {
  if [ -L $state ]; then
    did "left $state as it is, a symbolic link: what it leads to must belong to msp-agent"
    return
  fi
  if [ ! -d $state ]; then mkdir $state && did "made $state"; fi
  chown -h msp-agent:msp-agent $state
  chmod 750 $state
}

install() { # options
  if [ -e $config ]; then check_kept_config; else make_config "$@"; fi
  echo "$version:"
  make_user
  install_all
  install_config
  give_state
  /usr/bin/msp-agent check --offline >"$work/said" 2>&1 || fail "$config:" "$(cat "$work/said")"
  sed 's/^/  /' "$work/said"
  start
}

# A file system that is mounted there is emptied, and its mount point stays. What a link leads to stays as it is.
remove_state() {
  if [ -L $state ]; then
    rm -f $state && did "removed the symbolic link $state: what is in its target stays"
  elif [ -e $state ]; then
    rm -rf --one-file-system $state/buffer $state 2>/dev/null || true
    if [ -e $state ]; then did "left $state: it is in use, or something is mounted there"; else did "removed $state"; fi
  fi
}

uninstall() {
  if [ ! -e $list ] && [ ! -e $config ]; then
    echo "msp-agent is not installed"
    return
  fi
  if is_running; then systemctl stop msp-agent.service 2>/dev/null || true; fi
  plain=/run/systemd/system/msp-agent.service.d/without-namespaces.conf # made by the unit
  if [ -L $plain ]; then rm $plain && rmdir --ignore-fail-on-non-empty ${plain%/*}; fi
  systemctl --quiet disable msp-agent.service 2>/dev/null || true
  if [ -e $list ]; then
    cp $list "$work/list"
    while IFS= read -r path; do
      case $path in */) ;; *) rm -f "$path" && did "removed $path" ;; esac
    done <"$work/list"
    # The folders, the last made first; what others use by now stays.
    grep '/$' "$work/list" | sort -r -u | while IFS= read -r folder; do rmdir "$folder" 2>/dev/null || true; done
  fi
  for path in $config $ca; do
    if [ -e $path ]; then rm -rf $path && did "removed $path"; fi
  done
  remove_state
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
  install "$@"
fi
