# What the producers have written goes with them: nobody keeps it up to date any more. Other files stay.
if [ "$1" -eq 0 ]; then
  for producer in updates smart containers; do
    rm -f /var/lib/msp-agent-textfile/$producer.prom
  done
fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
