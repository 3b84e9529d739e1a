# $1 is 0 when it is erased and not upgraded.
if [ "$1" -eq 0 ]; then
  if [ -d /run/systemd/system ]; then systemctl stop msp-agent.service || :; fi
  backoff=/usr/lib/systemd/system/msp-agent.service.d/restart-backoff.conf # made by post
  plain=/run/systemd/system/msp-agent.service.d/without-namespaces.conf # made by the unit
  for link in $backoff $plain; do
    if [ -L $link ]; then rm $link && rmdir --ignore-fail-on-non-empty ${link%/*} || :; fi
  done
  if command -v systemctl >/dev/null; then systemctl --quiet --no-reload disable msp-agent.service || :; fi
fi
