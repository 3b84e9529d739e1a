# For the producers beside this file, which source it: writes a file of metrics for the collector textfile.
#
# A file appears as a whole or not at all, by a rename. A producer that fails leaves the file of its last good run, in
# which msp_agent_textfile_last_success_timestamp_seconds says how old it is.
set -eu
export LC_ALL=C
umask 022
directory=${MSP_TEXTFILE_DIRECTORY:-/var/lib/msp-agent-textfile}
producer=${0##*/}
samples=
work= # a folder of the run's own
new=
trap 'rm -rf ${work:+"$work"} ${new:+"$new"}' EXIT

fail() {
  echo "$producer: $*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# A text as a label's value.
escaped() { printf %s "$1" | tr -d '\000-\011\013-\037\177' | sed 's/[\\"]/\\&/g'; }

# metric TYPE NAME HELP: what describes the samples that follow
metric() { samples="$samples# HELP $2 $3
# TYPE $2 $1
"; }

# sample SERIES VALUE; a value that is no number is a fault of ours or of the tool's
sample() {
  case $2 in
    '' | *[!0-9.eE+-]*) fail "'$2' is no value of $1" ;;
  esac
  samples="$samples$1 $2
"
}

# Moves what was collected to its place.
publish() {
  metric gauge msp_agent_textfile_last_success_timestamp_seconds 'When a producer of metrics was last successful.'
  sample "msp_agent_textfile_last_success_timestamp_seconds{producer=\"$producer\"}" "$(date +%s)"
  new=$directory/$producer.prom.$$
  printf %s "$samples" >"$new" || fail "cannot write to $directory"
  mv -f "$new" "$directory/$producer.prom"
}

# The host does not have what this is about: nothing is known, and a file of earlier would be of another host.
not_here() {
  rm -f "$directory/$producer.prom"
  exit 0
}

work=$(mktemp -d) || fail 'there is no place for temporary files'
