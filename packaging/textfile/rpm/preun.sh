# $1 is 0 when it is erased and not upgraded.
if [ "$1" -eq 0 ] && command -v systemctl >/dev/null; then
  for timer in updates smart containers; do
    if [ -d /run/systemd/system ]; then systemctl stop msp-agent-textfile-$timer.timer || :; fi
    systemctl --quiet --no-reload disable msp-agent-textfile-$timer.timer || :
  done
fi
