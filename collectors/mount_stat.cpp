#include "collectors/mount_stat.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "agent/base/detached_thread.h"
#include "agent/base/text.h"

namespace msp::collectors {
namespace {

constexpr auto kGraceNs = std::chrono::nanoseconds(MountStat::kGrace).count();

}  // namespace

/// One mount. A worker that is stuck in it holds it after set_mounts() has let it go.
struct MountStat::Question {
  enum class Phase {
    settled,  // has its answer
    waiting,  // for a worker
    asked,    // a worker is in statvfs
    stuck,    // the same, and its tick is over: `answer` says timed out
  };

  MountToAsk mount;  // does not change
  Phase phase = Phase::settled;
  MountAnswer answer;  // the caller reads it between ticks, when no worker writes
};

struct MountStat::State {
  using QuestionPtr = std::shared_ptr<Question>;
  using Phase = Question::Phase;

  State(Statvfs function, std::shared_ptr<const Wakeup> wanted)
      : statvfs(function), wakeup(std::move(wanted)) {}

  const Statvfs statvfs;
  const std::shared_ptr<const Wakeup> wakeup;
  std::mutex mutex;              // all below and in the questions
  std::condition_variable work;  // there are questions, or it is over
  std::vector<QuestionPtr> questions;
  std::vector<QuestionPtr> stuck;
  std::size_t next = 0;     // questions before this one are not waiting
  std::size_t waiting = 0;  // how many are
  std::size_t left = 0;     // how many are waiting or asked
  std::size_t live = 0;     // workers that are not stuck
  std::size_t idle = 0;     // of these, parked
  bool is_awaited = false;  // somebody wants to know when all of the tick's are settled
  bool closing = false;

  bool is_hopeless(const Question& question) const {
    const auto same_type = [&](const QuestionPtr& other) {
      return other->mount.fs_type == question.mount.fs_type;
    };
    return stuck.size() >= kStuckMax && std::any_of(stuck.begin(), stuck.end(), same_type);
  }

  void open_tick() {
    next = waiting = 0;
    for (const auto& question : questions) {
      if (question->phase == Phase::stuck) continue;
      question->answer = {};
      question->answer.timed_out = is_hopeless(*question);
      if (question->answer.timed_out) continue;
      question->phase = Phase::waiting;
      ++waiting;
    }
    left = waiting;
  }

  void close_tick() {
    next = questions.size();
    if (left == 0) return;
    for (const auto& question : questions) {
      if (question->phase == Phase::settled || question->phase == Phase::stuck) continue;
      question->answer.timed_out = true;
      if (question->phase == Phase::waiting) {
        question->phase = Phase::settled;
        continue;
      }
      question->phase = Phase::stuck;
      stuck.push_back(question);
      --live;
    }
    waiting = left = 0;
  }

  QuestionPtr take() {
    for (; next < questions.size(); ++next) {
      const auto& question = questions[next];
      if (question->phase != Phase::waiting) continue;
      question->phase = Phase::asked;
      --waiting;
      return question;
    }
    return nullptr;
  }

  void settle(const QuestionPtr& question, const MountAnswer& answer) {
    if (question->phase == Phase::stuck) {
      std::erase(stuck, question);
      ++live;  // too late: the answer is of a tick that is over
    } else {
      question->answer = answer;
      if (--left == 0 && is_awaited && wakeup) wakeup->wake();
    }
    question->phase = Phase::settled;
  }
};

MountStat::MountStat(Statvfs statvfs, std::chrono::milliseconds timeout,
                     std::shared_ptr<const Wakeup> wakeup, const Clock& clock)
    : clock_(clock),
      timeout_(timeout),
      state_(std::make_shared<State>(statvfs, std::move(wakeup))) {}

MountStat::~MountStat() {
  const std::lock_guard lock(state_->mutex);
  state_->closing = true;
  state_->work.notify_all();
}

void MountStat::set_mounts(std::vector<MountToAsk> mounts) {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::shared_ptr<Question>> questions;
  questions.reserve(mounts.size());
  for (auto& mount : mounts) {
    const auto is_same = [&](const auto& question) { return question->mount == mount; };
    const auto stuck = std::find_if(state_->stuck.begin(), state_->stuck.end(), is_same);
    if (stuck != state_->stuck.end()) {
      questions.push_back(*stuck);
    } else {
      questions.push_back(std::make_shared<Question>());
      questions.back()->mount = std::move(mount);
    }
  }
  state_->questions = std::move(questions);
  state_->next = state_->questions.size();
}

Result<void> MountStat::begin() {
  auto& state = *state_;
  const std::lock_guard lock(state.mutex);
  state.open_tick();
  const auto now_ns = clock_.monotonic_ns();
  deadline_ns_ = now_ns + timeout_.count();
  help_at_ns_ = now_ns + kGraceNs;
  left_then_ = state.left;
  if (state.left == 0) return {};
  if (state.live == 0) {
    if (auto started = start_worker(); !started) {
      state.close_tick();
      return started;
    }
  } else if (state.idle > 0) {
    state.work.notify_one();
  }
  return {};
}

std::int64_t MountStat::wait_ns() {
  auto& state = *state_;
  const std::lock_guard lock(state.mutex);
  const auto now_ns = clock_.monotonic_ns();
  if (state.left == 0 || now_ns >= deadline_ns_) return 0;
  if (now_ns >= help_at_ns_) {
    if (state.left == left_then_) start_helpers();
    left_then_ = state.left;
    help_at_ns_ = now_ns + kGraceNs;
  }
  const bool may_help = state.waiting > 0 && state.stuck.size() + state.live < kStuckMax;
  state.is_awaited = true;
  return (may_help ? std::min(deadline_ns_, help_at_ns_) : deadline_ns_) - now_ns;
}

Result<void> MountStat::finish() {
  auto& state = *state_;
  const std::lock_guard lock(state.mutex);
  const bool is_early = state.left > 0 && clock_.monotonic_ns() < deadline_ns_;
  state.is_awaited = false;
  state.close_tick();
  if (is_early) return no_data("the tick was ended before all mounts had answered");
  return {};
}

/// As many again as there are, all of them held up: sixteen dead mounts are found in five times
/// kGrace.
void MountStat::start_helpers() {
  const auto& state = *state_;
  const auto room = kStuckMax - std::min(kStuckMax, state.stuck.size() + state.live);
  for (auto n = std::min({state.live, state.waiting, room}); n > 0; --n) {
    if (!start_worker()) return;  // what nobody gets to is reported as timed out
  }
}

std::size_t MountStat::left() const {
  const std::lock_guard lock(state_->mutex);
  return state_->left;
}

const MountAnswer& MountStat::answer(std::size_t index) const {
  return state_->questions[index]->answer;
}

/// With the mutex held.
Result<void> MountStat::start_worker() {
  if (auto started = start_detached([state = state_] { work(*state); }, kSmallStackBytes);
      !started) {
    return failed(cat("statvfs: ", started.error().text));
  }
  ++state_->live;
  return {};
}

void MountStat::work(State& state) {
  std::unique_lock lock(state.mutex);
  for (;;) {
    if (const auto question = state.take()) {
      lock.unlock();
      MountAnswer answer;
      if (state.statvfs(question->mount.path.c_str(), &answer.stat) != 0) answer.error = errno;
      lock.lock();
      state.settle(question, answer);
      continue;
    }
    if (state.closing || state.live > 1) break;
    ++state.idle;
    state.work.wait(lock, [&] { return state.closing || state.waiting > 0; });
    --state.idle;
  }
  --state.live;
}

}  // namespace msp::collectors
