#!/bin/sh
# Prints who built what from what, as SLSA provenance in an in-toto statement: the packages with their SHA-256, the
# commit, the command, the lock of the libraries and who built it. Called by packaging/packages.sh; repository.sh signs
# it. Whoever doubts it runs the same command on the same commit and gets the same packages.
#
#   sh packaging/provenance.sh BUILD_FOLDER COMMAND PACKAGE...
#
# MSP_BUILDER names the builder, such as the address of a CI job; without it, it is the user and the host.
set -eu
build=$(cd "$1" && pwd)
command=$2
shift 2
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC
. "$build/built-with.sh" # written by packaging/packages.cmake: version, architecture, compiler, lock

sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }
json() { printf '%s' "$1" | tr -d '\001-\037' | sed 's/[\\"]/\\&/g; s/^/"/; s/$/"/'; } # text
in_git() { git -c safe.directory="$PWD" "$@" 2>/dev/null; }

subjects=
for package in "$@"; do
  subjects="$subjects${subjects:+,}
    {\"name\": $(json "${package##*/}"), \"digest\": {\"sha256\": \"$(sha256_of "$package")\"}}"
done

# A source that is no checkout, or that differs from its commit, is not called by a commit's name.
state=unknown
source=
if commit=$(in_git rev-parse --verify HEAD); then
  state=changed
  if changes=$(in_git status --porcelain) && [ -z "$changes" ]; then state=clean; fi
  source="{\"name\": \"source\", \"digest\": {\"gitCommit\": \"$commit\"}, \"annotations\": {\"state\": \"$state\"}},
      "
fi
cat <<JSON
{
  "_type": "https://in-toto.io/Statement/v1",
  "subject": [$subjects
  ],
  "predicateType": "https://slsa.dev/provenance/v1",
  "predicate": {
    "buildDefinition": {
      "buildType": "packaging/packages.sh of msp-agent, version 1",
      "externalParameters": {"command": $(json "$command"), "version": "$version", "architecture": "$architecture",
        "sourceState": "$state", "SOURCE_DATE_EPOCH": "$SOURCE_DATE_EPOCH"},
      "resolvedDependencies": [
      ${source}{"name": "packaging/static_dependencies.lock", "digest": {"sha256": "$(sha256_of "$lock")"}},
      {"name": "compiler", "annotations": {"version": $(json "$("$compiler" --version | sed 1q)")}}]
    },
    "runDetails": {
      "builder": {"id": $(json "${MSP_BUILDER:-$(id -un)@$(uname -n)}")},
      "metadata": {"finishedOn": "$(date -u +%Y-%m-%dT%H:%M:%SZ)"}
    }
  }
}
JSON
