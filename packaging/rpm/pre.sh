# The user, before the files that belong to it. By hand: the systemd of RHEL 7 and Amazon Linux 2 has no sysusers.
getent group msp-agent >/dev/null || groupadd --system msp-agent
if ! getent passwd msp-agent >/dev/null; then
  shell=/sbin/nologin
  [ -x "$shell" ] || shell=/usr/sbin/nologin
  useradd --system --gid msp-agent --home-dir /var/lib/msp-agent --no-create-home --shell "$shell" \
    --comment msp-agent msp-agent
fi
