# Completions of msp-agent for fish.
complete -c msp-agent -f
complete -c msp-agent -s h -l help -d 'Print the help'
complete -c msp-agent -l config -r -F -d 'The configuration file'
complete -c msp-agent -l dry-run -d 'Collect once, print the samples, send nothing'
complete -c msp-agent -l path.procfs -x -a '(__fish_complete_directories)' -d 'Where the /proc of the host is mounted'
complete -c msp-agent -l path.sysfs -x -a '(__fish_complete_directories)' -d 'Where the /sys of the host is mounted'
complete -c msp-agent -l path.rootfs -x -a '(__fish_complete_directories)' -d 'Where the / of the host is mounted'
complete -c msp-agent -l log-level -x -a 'debug info warning error' -d 'How much to say'
complete -c msp-agent -l offline -d 'check: try nothing on the network'
complete -c msp-agent -l version -d 'Print the version'
complete -c msp-agent -n __fish_use_subcommand -a run -d 'Run in the foreground'
complete -c msp-agent -n __fish_use_subcommand -a check -d 'Say what is wrong with the configuration'
complete -c msp-agent -n __fish_use_subcommand -a collectors -d 'List the collectors'
