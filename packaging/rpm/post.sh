# Starts and enables nothing: it is not configured yet.
# Growing pauses between restarts, for a systemd that knows them; another one would warn at every start.
version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "${version:-0}" -ge 254 ]; then
  mkdir -p /usr/lib/systemd/system/msp-agent.service.d
  ln -sf /usr/share/msp-agent/restart-backoff.conf /usr/lib/systemd/system/msp-agent.service.d/
fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
