# Starts no timer: which of them a host needs is for its administrator to say.
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
