# Completions of msp-agent for bash.
_msp_agent() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  case $previous in
    --config | --password-file | --bearer-token-file | --ca-file | --env-file)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --path.procfs | --path.sysfs | --path.rootfs)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return
      ;;
    --from)
      mapfile -t COMPREPLY < <(compgen -W 'alloy prometheus' -- "$current")
      return
      ;;
    --log-level)
      mapfile -t COMPREPLY < <(compgen -W 'debug info warning error' -- "$current")
      return
      ;;
  esac
  case $current in
    -*)
      mapfile -t COMPREPLY < <(compgen -W '-h --help --config --dry-run --collectors --diff --path.procfs --path.sysfs
        --path.rootfs --log-level --version --offline --json --watch --customer-id --server-name --environment --url --username
        --password-file --bearer-token-file --ca-file --label --scrape --force --env-file --from' -- "$current")
      ;;
    *) mapfile -t COMPREPLY < <(compgen -W 'run check status init convert-alloy collectors' -- "$current") ;;
  esac
}
complete -F _msp_agent msp-agent
