#include "collectors/mount_stat.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <utility>

#include "agent/base/text.h"

namespace msp {
namespace {

using Clock = std::chrono::steady_clock;

/// Enough for statvfs and a signal frame; 128 threads of the default 8 MiB would be 1 GiB of
/// address space.
std::size_t stack_bytes() {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto least = static_cast<std::size_t>(::sysconf(_SC_THREAD_STACK_MIN));
  return std::max<std::size_t>(least, 64 * 1024) +
         page;  // glibc takes the guard page out of the stack
}

/// A detached thread that leaves all signals to the others. Returns an errno value.
int start_thread(void* (*run)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, stack_bytes());
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return error;
}

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

  explicit State(Statvfs function) : statvfs(function) {}

  const Statvfs statvfs;
  std::mutex mutex;              // all below and in the questions
  std::condition_variable work;  // there are questions, or it is over
  std::condition_variable done;  // all of the tick's are settled
  std::vector<QuestionPtr> questions;
  std::vector<QuestionPtr> stuck;
  std::size_t next = 0;     // questions before this one are not waiting
  std::size_t waiting = 0;  // how many are
  std::size_t left = 0;     // how many are waiting or asked
  std::size_t live = 0;     // workers that are not stuck
  std::size_t idle = 0;     // of these, parked
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
      if (--left == 0) done.notify_one();
    }
    question->phase = Phase::settled;
  }
};

MountStat::MountStat(Statvfs statvfs, std::chrono::milliseconds deadline)
    : deadline_(deadline), state_(std::make_shared<State>(statvfs)) {}

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

Result<void> MountStat::ask() {
  auto& state = *state_;
  std::unique_lock lock(state.mutex);
  state.open_tick();
  if (state.left == 0) return {};

  if (state.live == 0) {
    if (auto started = start_worker(); !started) {
      state.close_tick();
      return started;
    }
  } else if (state.idle > 0) {
    state.work.notify_one();
  }

  const auto deadline = Clock::now() + deadline_;
  while (state.left > 0) {
    const auto left = state.left;
    const bool may_help = state.waiting > 0 && state.stuck.size() + state.live < kStuckMax;
    const auto until = may_help ? std::min(deadline, Clock::now() + kGrace) : deadline;
    if (state.done.wait_until(lock, until, [&] { return state.left == 0; })) break;
    if (Clock::now() >= deadline) break;
    if (state.left == left) start_helpers();
  }
  state.close_tick();
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

const MountAnswer& MountStat::answer(std::size_t index) const {
  return state_->questions[index]->answer;
}

/// With the mutex held.
Result<void> MountStat::start_worker() {
  auto argument = std::make_unique<std::shared_ptr<State>>(state_);
  if (const int error = start_thread(work, argument.get()); error != 0) {
    return failed(cat("cannot start a thread for statvfs: ", errno_text(error),
                      "; raise the limit on tasks (TasksMax= of the unit, ulimit -u)"));
  }
  static_cast<void>(argument.release());  // the worker's now
  ++state_->live;
  return {};
}

void* MountStat::work(void* argument) {
  const std::unique_ptr<std::shared_ptr<State>> owned(
      static_cast<std::shared_ptr<State>*>(argument));
  auto& state = **owned;
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
  lock.unlock();
  return nullptr;
}

}  // namespace msp
