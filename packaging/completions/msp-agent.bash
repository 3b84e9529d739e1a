# Completions of msp-agent for bash.
_msp_agent() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  case $previous in
    --config)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --path.procfs | --path.sysfs | --path.rootfs)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return
      ;;
    --log-level)
      mapfile -t COMPREPLY < <(compgen -W 'debug info warning error' -- "$current")
      return
      ;;
  esac
  case $current in
    -*)
      mapfile -t COMPREPLY < <(compgen -W '-h --help --config --dry-run --path.procfs --path.sysfs --path.rootfs
        --log-level --version --json --watch' -- "$current")
      ;;
    *) mapfile -t COMPREPLY < <(compgen -W 'run status collectors' -- "$current") ;;
  esac
}
complete -F _msp_agent msp-agent
