#include "tests/simulation/world.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "agent/base/text.h"
#include "agent/queue/compression.h"
#include "tests/support/scrapes.h"
#include "write_request.pb.h"

namespace msp::simulation {

using queue::DropReason;
namespace {

constexpr std::int64_t kSecond = kNsPerSecond;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kTimeoutNs = 10 * kSecond;
// After the last fault: a back-off, a Retry-After, a hold and a paced backlog are far shorter.
constexpr std::int64_t kDrainMaxNs = 2 * kHour;
constexpr std::size_t kStepsAtOnceMax = 20'000;

constexpr const char* kDisk = "/disk/buffer";
constexpr const char* kRun = "/run/buffer";

http::HttpAnswer unreachable() {
  http::HttpAnswer answer;
  answer.error = "no answer";
  return answer;
}

}  // namespace

World::World(std::uint64_t seed, bool trace, Faults faults)
    : seed_(seed), is_traced_(trace), faults_(faults), random_(seed) {
  make_plan();
  files_.mount(kDisk, "disk");
  options_.folder = kDisk;
  options_.wal_folder = plan_.log_on_disk ? kDisk : kRun;
  options_.files = &files_;
  options_.clock = &clock_;
  options_.notify = [this](const queue::Notice& notice) { tell("notice: ", notice.text); };
  options_.limits.bytes_max = std::uint64_t{1} << (18 + below(5));
  if (plan_.small_disk) options_.limits.bytes_max = 4'000 + below(30'000);
  if (plan_.short_age) options_.limits.age_max = std::chrono::minutes(10 + below(120));
  constexpr std::int64_t kIntervals[] = {5, 15, 15, 30, 60};
  interval_ns_ = kIntervals[below(5)] * kSecond;
  send_every_ns_ = chance(25) ? 4 * interval_ns_ : interval_ns_;
  options_.timing.send_every_ns = send_every_ns_;
  make_sources();
  make_endpoints();
}

World::~World() {
  for (auto& endpoint : endpoints_) endpoint.delivery.reset();
}

template <typename... Parts>
void World::tell(const Parts&... parts) {
  if (!is_traced_) return;
  const auto text = cat(parts...);
  std::printf("%12.3f  %s\n", static_cast<double>(clock_.monotonic_ns()) / 1e9, text.c_str());
}

/// Short ones are as likely as long ones.
std::int64_t World::duration(std::int64_t min_ns, std::int64_t max_ns) {
  const auto share = static_cast<double>(below(1 << 20)) / (1 << 20);
  const auto ratio = static_cast<double>(max_ns) / static_cast<double>(min_ns);
  return static_cast<std::int64_t>(static_cast<double>(min_ns) * std::pow(ratio, share));
}

void World::make_plan() {
  const auto some = [&](unsigned percent) { return chance(percent); };
  plan_.outages = some(70);
  plan_.refusals = some(25);
  plan_.lost_answers = some(30);
  plan_.disk_errors = some(30);
  plan_.read_errors = some(20);
  plan_.full_disk = some(20);
  plan_.log_errors = some(15);
  plan_.kills = some(40);
  plan_.power_cuts = some(30);
  plan_.stops = some(30);
  plan_.late_mounts = some(15);
  plan_.clock_steps = some(20);
  plan_.suspends = some(10);
  plan_.slow_spiller = some(20);
  plan_.small_disk = some(15);
  plan_.short_age = some(10);
  plan_.log_on_disk = some(20);
  if (faults_ == Faults::all) return;
  plan_ = {};
  plan_.outages = true;
  plan_.clock_steps = true;
}

void World::make_sources() {
  const auto count = 1 + below(3);
  for (std::size_t i = 0; i < count; ++i) {
    auto& source = sources_.emplace_back();
    source.is_relay = i > 0 && chance(40);
    const auto name = i == 0 ? std::string("host") : cat(source.is_relay ? "relay/" : "job/", i);
    source.stream = std::make_shared<const metrics::Stream>(metrics::Stream{name});
    source.interval_ns = i == 0 ? interval_ns_ : duration(3 * kSecond, 2 * kMinute);
    std::vector<std::string> names;
    const auto series = 1 + below(6);
    for (std::size_t j = 0; j < series; ++j) {
      names.push_back(cat("s", i, "_", j));
      source.numbers.push_back(ledger_.series_of(names.back()));
      source.sets.push_back(test::series_set(names));
    }
    source.series = series;
    clock_.at(clock_.monotonic_ns() + duration(kSecond, source.interval_ns + kSecond),
              [this, &source] { produce(source); });
  }
}

Centre::Nature World::nature_of_a_centre() {
  Centre::Nature nature;
  nature.takes_zstd = chance(60);
  nature.in_order = !nature.takes_zstd && chance(60);
  nature.stores_a_part = chance(50);
  if (chance(20)) nature.samples_max = 1 + below(40);
  // A probe of the next life is older than the last one where the clock stepped back between.
  const bool restarts = plan_.kills || plan_.power_cuts || plan_.stops;
  if (chance(20) && !(nature.in_order && plan_.clock_steps && restarts)) {
    for (const auto& source : sources_) {
      if (chance(50) && !(source.is_relay && nature.in_order)) {
        nature.poisoned.insert(source.numbers[below(source.numbers.size())]);
      }
    }
  }
  return nature;
}

void World::make_endpoints() {
  const auto count = 1 + below(3);
  for (std::size_t i = 0; i < count; ++i) {
    auto& endpoint = endpoints_.emplace_back();
    const auto nature = nature_of_a_centre();
    auto& config = endpoint.config;
    config.url = cat("http://centre", i, "/w");
    if (chance(70)) {
      config.protocol =
          nature.takes_zstd ? config::Protocol::victoriametrics : config::Protocol::prometheus_1_0;
    }
    if (nature.in_order && chance(50)) config.order = config::Order::oldest_first;
    if (send_every_ns_ > interval_ns_) {
      config.send_every = std::chrono::milliseconds(send_every_ns_ / kNsPerMs);
    }
    constexpr std::uint64_t kRates[] = {0, 50, 1'000, 100'000};
    config.catch_up_rate = kRates[below(4)];
    endpoint.centre = std::make_unique<Centre>(ledger_, nature);
    tell("centre ", i, nature.takes_zstd ? ": zstd" : ": snappy",
         nature.in_order ? ", in order" : ", any order",
         nature.stores_a_part ? ", stores a part" : "", ", samples_max ", nature.samples_max,
         ", poisoned series ", nature.poisoned.size());
  }
}

// Lives of the agent.

void World::start() {
  ++life_;
  is_killed_ = wants_kill_in_post_ = wants_stop_ = wants_power_cut_ = false;
  log_is_covered_ = false;
  tell("start of life ", life_);
  auto opened = queue::Queue::open(options_);
  if (!opened) {
    tell("the queue does not open: ", opened.error().text);
    is_killed_ = true;
    return;
  }
  queue_ = std::move(*opened);
  spiller_ = std::make_unique<queue::Spiller>(*queue_);
  stop_ = std::make_unique<StopSource>(clock_);
  last_round_ns_ = clock_.monotonic_ns() - options_.timing.rest_ns;
  spiller_due_ns_ = kNeverNs;
  queue_->set_wake_spiller([this] {
    wake_spiller(std::max(clock_.monotonic_ns(), last_round_ns_ + options_.timing.rest_ns));
  });
  const auto life = life_;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    auto& endpoint = endpoints_[i];
    endpoint.delivery = std::make_unique<Delivery>();
    const auto consumer = queue_->add_consumer(cat("centre", i), [this, i, life] {
      if (life == life_) wake_sender(i, clock_.monotonic_ns());
    });
    endpoint.delivery->sender = std::make_unique<delivery::Sender>(
        delivery::Sender::Setup{endpoint.config, std::chrono::milliseconds(interval_ns_ / kNsPerMs),
                                *queue_, consumer, endpoint.delivery->stats, clock_, random_()},
        [this, i](std::string_view body, const std::vector<std::string>& headers) {
          return post(i, body, headers);
        },
        stop_->token());
    wake_sender(i, clock_.monotonic_ns());
  }
  wake_spiller(clock_.monotonic_ns());
}

/// Nothing of the agent is left but files; nothing is closed in order. Not while it is at work.
void World::bury() {
  if (queue_ == nullptr) return;
  // What destructors do is not what a dead process does.
  files_.stop_after(0);
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    auto& endpoint = endpoints_[i];
    endpoint.rejected += endpoint.delivery->stats.samples_rejected;
    endpoint.duplicates += endpoint.delivery->stats.samples_duplicate;
    // What a limit took while a request carried it ends with the request.
    endpoint.delivery.reset();
    const auto state = queue_->state(i);
    for (std::size_t reason = 0; reason < queue::kDropReasons; ++reason) {
      endpoint.dropped[reason] += state.dropped[reason];
    }
  }
  spiller_.reset();
  queue_.reset();
  stop_.reset();
  files_.go_on();
}

/// From which time on entries may be in memory only: everything before `window_ns` is on disk, but
/// for a fault of it that is not over long enough.
std::int64_t World::safe_until_ns(const std::vector<Span>& spans, std::int64_t recovery_ns) const {
  auto safe_ns = clock_.monotonic_ns() - window_ns();
  for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
    const auto over_ns = span->end_ns == kNeverNs ? kNeverNs : span->end_ns + recovery_ns;
    if (over_ns >= safe_ns) safe_ns = std::min(safe_ns, span->begin_ns - window_ns());
  }
  return safe_ns;
}

/// How long an entry may be in memory only: until it is due (queue.h), the next append wakes the
/// spiller, and a round of it has been, which may be that of a retry.
std::int64_t World::window_ns() const {
  const auto& timing = options_.timing;
  return timing.spill_after_ns + timing.send_every_ns + timing.retry_ns + interval_ns_;
}

/// The process is dead, and the write-ahead log with it.
void World::lose_memory(bool spilled) {
  const auto& timing = options_.timing;
  const auto safe_ns = safe_until_ns(disk_faults_, timing.retry_ns + window_ns());
  if (spilled && safe_ns == clock_.monotonic_ns() - window_ns()) return;
  tell("what was appended since ", std::to_string(static_cast<double>(safe_ns) / 1e9),
       " may be lost");
  ledger_.excuse_since(safe_ns);
}

/// The process is dead, and the write-ahead log is there. Entries that could not be logged are
/// logged again with the first append after the retry.
void World::excuse_unlogged() {
  const auto safe_ns =
      safe_until_ns(log_faults_, options_.timing.retry_ns + 2 * kMinute + 2 * interval_ns_);
  const bool is_logged = safe_ns == clock_.monotonic_ns() - window_ns() && !log_is_covered_;
  if (!is_logged) ledger_.excuse_since(safe_ns);
}

/// What becomes of a process that was killed, and of its host.
void World::die() {
  ++deaths_;
  const bool power_cut = wants_power_cut_;
  bury();
  tell(power_cut ? "power cut" : "killed");
  if (power_cut) {
    using Unsynced = test::MemoryFileSystem::PowerCut::Unsynced;
    constexpr Unsynced kUnsynced[] = {Unsynced::lost, Unsynced::half, Unsynced::zeros,
                                      Unsynced::kept};
    files_.power_cut(
        {.volatile_folder = "/run/", .content = kUnsynced[below(4)], .names_kept = chance(50)});
    lose_memory(false);
    if (plan_.late_mounts && is_mounted_ && chance(60)) {
      tell("the disk is mounted late");
      has_late_mount_ = true;
      is_mounted_ = false;
      files_.unmount(kDisk);
      disk_faults_.push_back({clock_.monotonic_ns(), kNeverNs});
      clock_.at(clock_.monotonic_ns() + duration(10 * kSecond, 30 * kMinute), [this] { mount(); });
    }
  } else {
    excuse_unlogged();
  }
  clock_.advance(duration(kSecond / 10, chance(80) ? 20 * kSecond : kHour));
}

/// As systemd stops it.
void World::stop_in_order() {
  tell("orderly stop");
  stop_->request_stop(clock_.monotonic_ns() + 10 * kSecond);
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    auto& delivery = *endpoints_[i].delivery;
    bool has_ended = false;
    for (int steps = 0; steps < 100 && !has_ended && !is_dead(); ++steps) {
      delivery.is_busy = true;
      const auto next = delivery.sender->step();
      delivery.is_busy = false;
      has_ended = next.is_idle || !next.made_progress;
    }
    // In the middle of a batch, perhaps: the next run sends all of it again.
    if (!has_ended) endpoints_[i].was_cut_short = true;
  }
  if (is_dead()) return;
  spiller_->round(true);
  if (is_dead()) return;
  bury();
  tell("stopped");
  // RuntimeDirectory= of systemd.exec(5) goes with the service.
  if (!plan_.log_on_disk && chance(70)) {
    files_.remove_tree("/run");
    lose_memory(true);
  } else {
    excuse_unlogged();
  }
  clock_.advance(duration(kSecond / 10, kMinute));
}

// What the agent does.

void World::produce(Source& source) {
  if (!is_producing_) return;
  clock_.at(clock_.monotonic_ns() + source.interval_ns, [this, &source] { produce(source); });
  if (queue_ != nullptr && !is_dead()) append(source);
}

void World::append(Source& source) {
  if (chance(3)) source.series = 1 + below(source.sets.size());
  auto timestamp_ms = clock_.wall_ns() / kNsPerMs;
  while (!source.times_ms.insert(timestamp_ms).second) ++timestamp_ms;
  const auto first = ledger_.samples().size();
  std::vector<double> values;
  for (std::size_t i = 0; i < source.series; ++i) {
    values.push_back(ledger_.add(
        {source.numbers[i], timestamp_ms, clock_.monotonic_ns(), false, source.is_relay}));
  }
  const auto& set = source.sets[source.series - 1];
  if (source.is_relay) {
    prometheus::WriteRequest message;
    for (std::size_t i = 0; i < source.series; ++i) {
      auto& series = *message.add_timeseries();
      for (const auto label : (*set)[i]->labels) {
        auto& added = *series.add_labels();
        added.set_name(std::string(label.name));
        added.set_value(std::string(label.value));
      }
      auto& sample = *series.add_samples();
      sample.set_value(values[i]);
      sample.set_timestamp(timestamp_ms);
    }
    queue::Request request{source.stream, source.series, timestamp_ms, timestamp_ms, {}};
    queue::compress_frame(message.SerializeAsString(), request.message);
    queue_->append(std::move(request));
  } else {
    queue_->append(metrics::Scrape{timestamp_ms, set, std::move(values), source.stream});
  }
  tell("append ", source.stream->name, " at ", timestamp_ms, ": samples ", first + 1, " to ",
       ledger_.samples().size());
  // It had not returned when the process died.
  if (is_dead()) ledger_.excuse_from_number(first);
}

void World::wake_sender(std::size_t number, std::int64_t at_ns) {
  auto& delivery = *endpoints_[number].delivery;
  if (delivery.is_busy) {
    delivery.is_woken = true;
    return;
  }
  if (at_ns >= delivery.due_ns) return;
  delivery.due_ns = at_ns;
  clock_.at(at_ns, [this, number, at_ns, life = life_] {
    if (life != life_ || queue_ == nullptr || is_dead()) return;
    auto& due = *endpoints_[number].delivery;
    if (due.due_ns == at_ns && !due.is_busy) step_sender(number);
  });
}

void World::step_sender(std::size_t number) {
  auto& delivery = *endpoints_[number].delivery;
  delivery.due_ns = kNeverNs;
  delivery.is_busy = true;
  const auto next = delivery.sender->step();
  delivery.is_busy = false;
  if (is_dead()) return;
  const auto now_ns = clock_.monotonic_ns();
  if (std::exchange(delivery.last_step_ns, now_ns) != now_ns) delivery.steps_at_once = 0;
  if (++delivery.steps_at_once > kStepsAtOnceMax) return;  // it is not drained in the end
  if (std::exchange(delivery.is_woken, false)) {
    wake_sender(number, now_ns);
  } else if (next.due_ns != kNeverNs) {
    wake_sender(number, std::max(now_ns, next.due_ns));
  }
}

void World::wake_spiller(std::int64_t at_ns) {
  at_ns = std::max(at_ns, spiller_hangs_until_ns_);
  if (at_ns >= spiller_due_ns_) return;
  spiller_due_ns_ = at_ns;
  clock_.at(at_ns, [this, at_ns, life = life_] {
    if (life != life_ || queue_ == nullptr || is_dead() || spiller_due_ns_ != at_ns) return;
    spiller_due_ns_ = kNeverNs;
    last_round_ns_ = clock_.monotonic_ns();
    const auto due_ns = spiller_->round();
    if (!is_dead() && due_ns != kNeverNs) wake_spiller(std::max(due_ns, last_round_ns_));
  });
}

/// The agent's request to a centre. Other things happen meanwhile.
http::HttpAnswer World::post(std::size_t number, std::string_view body,
                             const std::vector<std::string>& headers) {
  auto& centre = *endpoints_[number].centre;
  if (is_dead()) return unreachable();
  const auto mode = centre.mode;
  if (mode == Mode::unreachable) return unreachable();
  if (mode == Mode::silent) {
    clock_.advance(kTimeoutNs);
    return unreachable();
  }
  const std::string sent(body);  // the agent's buffer is not the network
  const auto kill_when = wants_kill_in_post_ ? below(3) : 3;
  const auto kill = [&] {
    tell("killed within a request");
    is_killed_ = true;
    files_.stop_after(0);
    return unreachable();
  };
  if (kill_when == 0) return kill();
  auto takes_ns = chance(98) ? duration(kNsPerMs, 50 * kNsPerMs) : duration(kSecond, 9 * kSecond);
  if (mode == Mode::slow) takes_ns = duration(3 * kSecond, 30 * kSecond);
  const auto arrives_ns = std::min(takes_ns / 2, kTimeoutNs);
  clock_.advance(arrives_ns);
  if (is_dead()) return unreachable();
  auto answer = centre.take(sent, headers);
  tell("centre ", number, " (", mode_name(centre.mode), ") answers ", answer.status, " to ",
       sent.size(), " bytes");
  if (kill_when == 1) return kill();
  clock_.advance(std::min(takes_ns, kTimeoutNs) - arrives_ns);
  if (is_dead() || takes_ns > kTimeoutNs || mode == Mode::loses_answers) return unreachable();
  return kill_when == 2 ? kill() : answer;
}

// What happens to it.

/// One more fault, and the time of the next.
void World::fate() {
  if (is_over_) return;
  clock_.at(clock_.monotonic_ns() + duration(10 * kSecond, 10 * kMinute), [this] { fate(); });
  if (faults_ == Faults::clocks && chance(60)) return jump_or_pause();
  const auto choice = below(14);
  const auto now_ns = clock_.monotonic_ns();
  auto& endpoint = endpoints_[below(endpoints_.size())];
  const auto a_while = [&] { return duration(kSecond, chance(80) ? 10 * kMinute : 2 * kHour); };
  switch (choice) {
    case 0:
    case 1:
    case 2: {
      if (!plan_.outages) return;
      constexpr Mode kOutages[] = {Mode::unreachable, Mode::silent,      Mode::fails,
                                   Mode::overloaded,  Mode::limits_rate, Mode::refuses_login};
      return set_mode(endpoint, kOutages[below(6)], a_while());
    }
    case 3:
      if (plan_.refusals) set_mode(endpoint, Mode::refuses_all, a_while());
      return;
    case 4:
      if (!plan_.lost_answers) return;
      return set_mode(endpoint, chance(50) ? Mode::loses_answers : Mode::slow, a_while());
    case 5:
      if (plan_.disk_errors) fail_disk(duration(kSecond, 20 * kMinute));
      return;
    case 6:
      if (!plan_.read_errors) return;
      tell("reads of the disk fail");
      return fail_reads(duration(kSecond, 10 * kMinute));
    case 7:
      if (!plan_.full_disk) return;
      tell("the disk is full");
      files_.set_space({std::uint64_t{1} << 30, std::uint64_t{1} << 20});
      disk_faults_.push_back({now_ns, kNeverNs});
      clock_.at(now_ns + duration(kSecond, 20 * kMinute), [this] { end_of_disk_fault(); });
      return;
    case 8:
      if (!plan_.log_errors || plan_.log_on_disk) return;
      tell("the folder of the log fails");
      files_.fail("/run", "No space left on device");
      log_faults_.push_back({now_ns, kNeverNs});
      clock_.at(now_ns + duration(kSecond, 5 * kMinute), [this] {
        files_.fail("", "");
        if (!log_faults_.empty()) log_faults_.back().end_ns = clock_.monotonic_ns();
      });
      return;
    case 9:
    case 10:
      return plan_death();
    case 11:
      if (plan_.stops) wants_stop_ = true;
      return;
    case 12:
      if (plan_.clock_steps) {
        const auto step_ns = duration(kSecond, 48 * kHour);
        tell("the wall clock steps");
        clock_.step_wall(chance(50) ? step_ns : -step_ns);
      }
      if (plan_.suspends) clock_.suspend(duration(kSecond, 8 * kHour));
      return;
    case 13:
      if (!plan_.slow_spiller) return;
      tell("the disk hangs");
      spiller_hangs_until_ns_ = now_ns + duration(kSecond, 10 * kMinute);
      disk_faults_.push_back({now_ns, spiller_hangs_until_ns_});
      if (queue_ != nullptr) {
        spiller_due_ns_ = kNeverNs;
        wake_spiller(spiller_hangs_until_ns_);
      }
      return;
  }
}

/// The wall clock stays between 1971 and 2100.
void World::jump_or_pause() {
  constexpr std::int64_t kDay = 24 * kHour;
  if (chance(40)) {
    wants_pause_ns_ = duration(kHour, 12 * kHour);
    return;
  }
  const auto step_ns = duration(30 * kDay, 40 * 365 * kDay);
  const auto now_ns = clock_.wall_ns();
  const bool is_back =
      now_ns + step_ns > 130 * 365 * kDay || (now_ns - step_ns > 365 * kDay && chance(50));
  if (is_back && now_ns - step_ns <= 365 * kDay) return;
  tell("the wall clock steps by ", (is_back ? -step_ns : step_ns) / kDay, " days");
  clock_.step_wall(is_back ? -step_ns : step_ns);
  ++jumps_;
}

void World::plan_death() {
  if (plan_.power_cuts && chance(50)) {
    wants_power_cut_ = true;
  } else if (!plan_.kills) {
    return;
  }
  tell("a kill comes");
  if (chance(20)) {
    is_killed_ = true;
    files_.stop_after(0);
  } else if (chance(30)) {
    wants_kill_in_post_ = true;
  } else {
    files_.stop_after(below(chance(50) ? 8 : 60), chance(50));
  }
}

void World::set_mode(Endpoint& endpoint, Mode mode, std::int64_t for_ns) {
  tell(endpoint.config.url, ": ", mode_name(mode), " for ", for_ns / kSecond, " s");
  modes_.insert(mode);
  endpoint.centre->mode = mode;
  const auto number = ++endpoint.mode_number;
  clock_.at(clock_.monotonic_ns() + for_ns, [&endpoint, number] {
    if (endpoint.mode_number == number) endpoint.centre->mode = Mode::works;
  });
}

void World::fail_disk(std::int64_t for_ns) {
  tell("the disk fails");
  switch (below(3)) {
    case 0:
      files_.fail("/disk", "No space left on device");
      break;
    case 1:
      files_.fail_syncs(1 + static_cast<int>(below(3)));
      break;
    default: {
      const auto from = files_.changes() + below(20);
      files_.fail_between(from, from + 1 + below(10));
      // It may hit the log as well.
      log_faults_.push_back({clock_.monotonic_ns(), clock_.monotonic_ns() + for_ns});
    }
  }
  if (plan_.log_on_disk) {
    log_faults_.push_back({clock_.monotonic_ns(), clock_.monotonic_ns() + for_ns});
  }
  disk_faults_.push_back({clock_.monotonic_ns(), kNeverNs});
  clock_.at(clock_.monotonic_ns() + for_ns, [this] { end_of_disk_fault(); });
}

/// No file can be opened, to write it either; a start that cannot read the log does not write to it.
void World::fail_reads(std::int64_t for_ns) {
  const auto now_ns = clock_.monotonic_ns();
  files_.fail_reads("/disk", "Input/output error");
  disk_faults_.push_back({now_ns, now_ns + for_ns});
  if (plan_.log_on_disk) log_faults_.push_back({now_ns, now_ns + for_ns});
  clock_.at(now_ns + for_ns, [this] { files_.fail_reads("", ""); });
}

/// Of all that there are.
void World::end_of_disk_fault() {
  tell("the disk works");
  files_.fail("", "");
  files_.fail_syncs(0);
  files_.fail_between(0, 0);
  files_.set_space({std::uint64_t{1} << 40, std::uint64_t{1} << 39});
  for (auto* const spans : {&disk_faults_, &log_faults_}) {
    for (auto& span : *spans) {
      if (span.end_ns == kNeverNs && is_mounted_) span.end_ns = clock_.monotonic_ns();
    }
  }
}

void World::mount() {
  if (std::exchange(is_mounted_, true)) return;
  tell("the disk is mounted");
  // A log that is not in a folder of its own goes on below it, where the next start does not look.
  log_is_covered_ = plan_.log_on_disk;
  files_.mount(kDisk, "disk");
  for (auto& span : disk_faults_) {
    if (span.end_ns == kNeverNs) span.end_ns = clock_.monotonic_ns();
  }
}

void World::end_faults() {
  tell("no more faults");
  is_over_ = true;
  for (auto& endpoint : endpoints_) {
    ++endpoint.mode_number;
    endpoint.centre->mode = Mode::works;
  }
  wants_kill_in_post_ = wants_stop_ = false;
  if (!is_dead()) {
    files_.go_on();
    wants_power_cut_ = false;
  }
  files_.fail_reads("", "");
  mount();
  end_of_disk_fault();
}

bool World::is_drained() const {
  if (queue_ == nullptr || is_killed_) return false;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].delivery->is_busy || queue_->has_waiting(i)) return false;
  }
  return queue_->state().segments == 0;
}

Outcome World::run() {
  const auto began_ns = clock_.monotonic_ns();
  const auto faults_until_ns = began_ns + duration(10 * kMinute, 2 * kHour);
  const auto produces_until_ns = faults_until_ns + 5 * kMinute;
  auto drain_until_ns = produces_until_ns + kDrainMaxNs;
  clock_.at(began_ns + duration(kSecond, 10 * kMinute), [this] { fate(); });
  auto settled_ns = kNeverNs;
  Outcome outcome;
  start();
  for (;;) {
    clock_.advance(kSecond);
    if (const auto pause_ns = std::exchange(wants_pause_ns_, 0); pause_ns > 0) {
      tell("the process is stopped for ", pause_ns / kSecond, " s");
      clock_.jump(pause_ns);
      ++pauses_;
    }
    const auto now_ns = clock_.monotonic_ns();
    if (!is_over_ && now_ns >= faults_until_ns) {
      end_faults();
      drain_until_ns = std::max(now_ns, produces_until_ns) + kDrainMaxNs;
    }
    if (now_ns >= produces_until_ns) is_producing_ = false;
    if (wants_stop_ && !is_dead()) {
      stop_in_order();
      if (!is_dead()) start();
    }
    if (is_dead()) {
      die();
      start();
    }
    if (is_over_ && !is_producing_ && is_drained()) {
      // A disk that was mounted late is found by the spiller, which has nothing to do on a good day.
      if (settled_ns == kNeverNs) {
        settled_ns = now_ns + kMinute;
        wake_spiller(now_ns);
      }
      if (now_ns >= settled_ns) break;
    }
    if (now_ns >= drain_until_ns) {
      violation(outcome, "not drained two hours after the last fault");
      break;
    }
  }
  outcome.simulated_ns = clock_.monotonic_ns() - began_ns;
  check(outcome);
  return outcome;
}

// Whether the promises were kept.

void World::violation(Outcome& outcome, std::string text) {
  tell("VIOLATION: ", text);
  outcome.violations.push_back(std::move(text));
}

void World::check(Outcome& outcome) {
  outcome.samples = ledger_.samples().size();
  outcome.deaths = deaths_;
  outcome.jumps = jumps_;
  outcome.pauses = pauses_;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (queue_ != nullptr && !queue_->has_waiting(i) && queue_->state(i).samples != 0) {
      violation(outcome, cat("centre ", i, ": ", queue_->state(i).samples,
                             " samples are said to wait, and none does"));
    }
  }
  bury();
  for (std::size_t i = 0; i < endpoints_.size(); ++i) check_endpoint(i, outcome);
}

void World::check_endpoint(std::size_t number, Outcome& outcome) {
  const auto& endpoint = endpoints_[number];
  const auto& centre = *endpoint.centre;
  std::uint64_t missing = 0;      // and their loss is not excused
  std::uint64_t unexplained = 0;  // and the centre takes them
  std::size_t first = 0;
  std::size_t first_missing = 0;
  for (std::size_t i = 0; i < ledger_.samples().size(); ++i) {
    if (centre.has(i)) continue;
    if (ledger_.samples()[i].may_be_lost) {
      ++outcome.excused;
      continue;
    }
    if (missing++ == 0) first_missing = i;
    if (centre.may_refuse(i)) continue;
    if (unexplained++ == 0) first = i;
  }
  std::uint64_t dropped = 0;
  for (const auto count : endpoint.dropped) dropped += count;
  const auto counted = dropped + endpoint.rejected + endpoint.duplicates;
  outcome.counted += missing;
  const auto who = cat("centre ", number, ": ");
  const auto reason = [&](DropReason which) {
    return endpoint.dropped[static_cast<std::size_t>(which)];
  };
  if (!centre.invented().empty()) violation(outcome, who + "was sent " + centre.invented());
  const auto taken_by_limits =
      reason(DropReason::max_size) + reason(DropReason::max_age) + reason(DropReason::free_space);
  // What a limit takes of a segment that cannot be read is counted by the average.
  const bool is_estimated = plan_.read_errors && taken_by_limits > 0;
  if (missing > counted && !is_estimated) {
    violation(outcome, cat(who, missing, " samples are missing, the first is sample ",
                           first_missing + 1, ", and ", counted, " are counted"));
  }
  // Each reason only where it can be.
  const bool refuses_all = modes_.contains(Mode::refuses_all);
  if (unexplained > 0 && !is_estimated &&
      unexplained > taken_by_limits + (refuses_all ? endpoint.rejected : 0)) {
    const auto& sample = ledger_.samples()[first];
    violation(outcome,
              cat(who, unexplained, " samples are missing that it takes and no limit took, the ",
                  "first: sample ", first + 1, " at ", sample.timestamp_ms, ", appended at ",
                  std::to_string(static_cast<double>(sample.at_ns) / 1e9)));
  }
  const bool disk_is_sound = disk_faults_.empty() && log_faults_.empty() && !plan_.power_cuts;
  const bool may_be_damaged = !disk_is_sound || plan_.read_errors;
  for (const auto& [which, is_possible] :
       {std::pair(DropReason::max_age, plan_.short_age || plan_.clock_steps || plan_.suspends),
        std::pair(DropReason::free_space, plan_.full_disk), std::pair(DropReason::memory, false),
        std::pair(DropReason::damage, may_be_damaged), std::pair(DropReason::too_large, false)}) {
    if (is_possible || reason(which) == 0) continue;
    violation(outcome, cat(who, reason(which), " samples dropped, reason ",
                           queue::drop_reason_name(which), ", which nothing here is"));
  }
  const auto& nature = centre.nature();
  if (endpoint.rejected > 0 && !nature.in_order && nature.poisoned.empty() && !refuses_all) {
    violation(outcome, cat(who, endpoint.rejected, " samples count as refused, and none was"));
  }
  // A segment that a limit took may be there again after a power cut.
  const bool may_come_back = plan_.power_cuts && taken_by_limits > 0;
  const bool order_is_sound = !plan_.clock_steps && !plan_.read_errors && !has_late_mount_ &&
                              !refuses_all && !plan_.disk_errors && !may_come_back;
  if (nature.in_order && order_is_sound && centre.late_count() > 0) {
    violation(outcome, cat(who, centre.late_count(), " samples came after newer ones"));
  }
  // Where the agent knows all, it counts to the sample.
  const bool is_exact = deaths_ == 0 && disk_is_sound && !plan_.read_errors && !nature.in_order &&
                        !refuses_all && !modes_.contains(Mode::slow) &&
                        !modes_.contains(Mode::loses_answers);
  if (is_exact && !endpoint.was_cut_short && centre.again_count() > 0) {
    violation(outcome, cat(who, centre.again_count(), " samples came a second time"));
  }
  if (is_exact && missing != counted) {
    violation(outcome,
              cat(who, missing, " samples are missing, and exactly ", counted, " are counted"));
  }
}

}  // namespace msp::simulation
