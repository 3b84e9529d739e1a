#!/bin/sh
# Shows that the simulation notices faults in the code: applies one at a time to a copy of the tree, builds it, and
# expects a seed that fails. Not a part of tests/run.sh: a few minutes for each.
#
#   sh tests/simulation/mutations.sh [SEEDS] [NAME...]      by default 2000 seeds of each mutation
set -eu
cd "$(dirname "$0")/../.."

seeds=2000
case ${1:-} in
  [0-9]*)
    seeds=$1
    shift
    ;;
esac
wanted=$*
copy=$PWD/build/mutations
rm -rf "$copy"
mkdir -p "$copy"
cp -R CMakeLists.txt CMakePresets.json CHANGELOG.md agent collectors docs etc packaging tests "$copy/"
missed=0

# NAME FILE SED-SCRIPT: what is done wrong.
mutate() {
  name=$1
  file=$2
  script=$3
  case " $wanted " in
    "  " | *" $name "*) ;;
    *) return 0 ;;
  esac
  sed -i "$script" "$copy/$file"
  if cmp -s "$file" "$copy/$file"; then
    echo "$name: the mutation does not apply to $file" >&2
    missed=1
    return 0
  fi
  built=yes
  (cd "$copy" && cmake --preset dev && nice cmake --build --preset dev --target simulation) >"$copy/build.log" 2>&1 ||
    built=
  cp "$file" "$copy/$file"
  if [ -z "$built" ]; then
    echo "$name: does not build: $(grep -m 1 error "$copy/build.log")" >&2
    missed=1
    return 0
  fi
  # One process, so that the first line is the first seed.
  found=$("$copy/build/dev/tests/simulation" --seeds "$seeds" --stop | grep -m 1 '^FAILED' || true)
  if [ -n "$found" ]; then
    echo "$name: noticed: $found"
  else
    echo "$name: NOT noticed in $seeds seeds"
    missed=1
  fi
}

mutate no_sync agent/queue/segments.cpp \
  's/auto synced = writer_ ? writer_->sync() : Result<void>();/auto synced = Result<void>();/'
mutate no_folder_sync agent/queue/segments.cpp 's/if (synced \&\& folder_changed_) {/if (false) {/'
mutate early_ack agent/delivery/sender.cpp \
  's/  const auto report = client_.send_next(sent);/  queue_.ack(consumer_, sent.batch());\n&/'
mutate ack_on_failure agent/delivery/sender.cpp \
  's/if (!sent.in_progress()) put_back(sent);/if (!sent.in_progress()) finish(sent);/'
mutate trim_unstored agent/queue/queue.cpp \
  's/if (!segments_.is_stored(entry.first_sequence)) return false;/if (segments_.empty()) return false;/'
mutate no_log agent/queue/wal_writer.cpp \
  's/  if (auto appended = wal_.append(entry); !appended) {/  if (Result<void> appended; !appended) {/'
mutate forget_done agent/queue/queue.cpp 's/^    wal_.append_done(name, batch.entries());$//'
mutate log_written_over agent/queue/wal_writer.cpp 's/^    wal_.close();$/    is_recovered_ = true;/'
mutate lost_lease agent/queue/consumer.cpp 's/    if (!is_delivered) state/    if (!is_delivered \&\& false) state/'
mutate keep_unsynced agent/queue/segments.cpp 's/^    forget_unsynced();$/    mark_synced();/'
mutate both_lanes agent/queue/queue.cpp \
  's/ || consumer.is_leased(entry)) return true;/) return true;/'
mutate refused_is_dropped_uncounted agent/delivery/sender.cpp \
  's/  stats_.samples_rejected += sent.refused_samples();//'
mutate drops_uncounted agent/queue/consumer.cpp \
  's/  state.dropped\[static_cast<std::size_t>(reason)\] += samples;/  static_cast<void>(reason);/'
mutate late_disk_ignored agent/queue/spiller.cpp 's/  queue_.take_in(late, offsets ? \*offsets : Offsets());//'
mutate sequence_again agent/queue/queue.cpp \
  's/  first_issued_ = std::max(end, wall_ms > 0 ? static_cast<std::uint64_t>(wall_ms) : 1);/  first_issued_ = 1;/'
mutate backoff_for_ever agent/delivery/sender.cpp 's/  resume_ns_ = now_ns + wait.count();/  resume_ns_ = kNeverNs;/'
exit "$missed"
