# After an upgrade or a downgrade, with the files of the other version gone. What did not run is not started.
if [ -d /run/systemd/system ]; then systemctl try-restart msp-agent.service || :; fi
