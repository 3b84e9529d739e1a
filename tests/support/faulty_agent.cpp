// The agent with a host that fails on demand, and a ledger of what it made: the objects and libraries of the release,
// linked (ld --wrap) with a malloc(3), clocks and a Queue::append of this file. So all of it is hit, OpenSSL, libcurl
// and the C++ library as well; only calls inside one object of the C library are not.
//
// MSP_FAULTS names a file that the test shares: a Page, which both sides write while the agent runs, then a Record for
// each scrape. tests/support/faulty_agent.py is the other side.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "agent/metrics/sample.h"
#include "agent/queue/queue.h"

namespace {

struct Page {
  std::atomic<std::int64_t> calls;    // of malloc and its like
  std::atomic<std::int64_t> left;     // the call that fails, counted down; 0: none does
  std::atomic<std::int64_t> failing;  // how many fail from there on
  std::atomic<std::int64_t> failed;   // so many have
  std::atomic<std::int64_t>
      elapsed_ns;  // that all clocks are ahead of the kernel's, as after a stop
  std::atomic<std::int64_t> stepped_ns;  // that the wall clock is ahead beside that
  std::atomic<std::int64_t> begun;       // the C library has made its own start
};

struct Record {
  std::int64_t timestamp_ms;
  std::uint32_t samples;
  std::uint32_t sum;           // of the CRC-32 of each sample: its labels and its value
  std::uint64_t has_returned;  // 0: append() was called; 1: its promise holds
};

constexpr std::size_t kPageBytes = 4096;

Page nothing;
int ledger = -1;

/// The first call comes before there is a second thread.
Page& page() {
  static Page* const shared = [] {
    const char* const name = std::getenv("MSP_FAULTS");
    if (name == nullptr) return &nothing;
    ledger = ::open(name, O_RDWR | O_APPEND | O_CLOEXEC);
    void* const at = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, ledger, 0);
    if (ledger < 0 || at == MAP_FAILED) _exit(99);
    return static_cast<Page*>(at);
  }();
  return *shared;
}

bool fails() {
  auto& shared = page();
  if (shared.begun == 0) return false;
  ++shared.calls;
  if (shared.left <= 0 || shared.left.fetch_sub(1) != 1) return false;
  // This one. As long as more are to fail, so does the next.
  if (--shared.failing > 0) shared.left = 1;
  ++shared.failed;
  errno = ENOMEM;
  return true;
}

/// Before the first constructor it is the C library that starts, which without memory dies of SIGSEGV (_dl_init_paths).
[[gnu::constructor(101)]] void begin() {
  page().begun = 1;
}

/// Between the kernel's time and the agent's.
std::int64_t ahead_ns(clockid_t id) {
  switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
      return page().elapsed_ns + page().stepped_ns;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return 0;
    default:
      return page().elapsed_ns;
  }
}

void move(timespec& time, std::int64_t ns) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  ns += time.tv_nsec;
  time.tv_sec += ns / kSecond;
  time.tv_nsec = ns % kSecond;
  if (time.tv_nsec < 0) {
    time.tv_nsec += kSecond;
    --time.tv_sec;
  }
}

void record(const Record& what) {
  if (ledger >= 0 && ::write(ledger, &what, sizeof what) != sizeof what) _exit(98);
}

std::uint32_t crc(std::uint32_t before, const void* data, std::size_t bytes) {
  return static_cast<std::uint32_t>(
      ::crc32(before, static_cast<const Bytef*>(data), static_cast<uInt>(bytes)));
}

Record record_of(const msp::metrics::Scrape& scrape) {
  Record made{scrape.timestamp_ms, static_cast<std::uint32_t>(scrape.values.size()), 0, 0};
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    std::uint32_t sum = 0;
    for (const auto& [name, value] : (*scrape.series)[i]->labels) {
      sum = crc(sum, name.data(), name.size());
      sum = crc(sum, value.data(), value.size());
    }
    const auto bits = std::bit_cast<std::uint64_t>(scrape.values[i]);
    made.sum += crc(sum, &bits, sizeof bits);
  }
  return made;
}

}  // namespace

extern "C" {

void* __real_malloc(std::size_t);
void* __real_calloc(std::size_t, std::size_t);
void* __real_realloc(void*, std::size_t);
void* __real_aligned_alloc(std::size_t, std::size_t);
int __real_posix_memalign(void**, std::size_t, std::size_t);
int __real_clock_gettime(clockid_t, timespec*);
int __real_timerfd_settime(int, int, const itimerspec*, itimerspec*);
int __real_pthread_cond_clockwait(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);

void* __wrap_malloc(std::size_t bytes) {
  return fails() ? nullptr : __real_malloc(bytes);
}
void* __wrap_calloc(std::size_t count, std::size_t bytes) {
  return fails() ? nullptr : __real_calloc(count, bytes);
}
void* __wrap_realloc(void* before, std::size_t bytes) {
  return fails() ? nullptr : __real_realloc(before, bytes);
}
void* __wrap_aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return fails() ? nullptr : __real_aligned_alloc(alignment, bytes);
}
int __wrap_posix_memalign(void** out, std::size_t alignment, std::size_t bytes) {
  return fails() ? ENOMEM : __real_posix_memalign(out, alignment, bytes);
}

int __wrap_clock_gettime(clockid_t id, timespec* now) {
  const int result = __real_clock_gettime(id, now);
  if (result == 0) move(*now, ahead_ns(id));
  return result;
}
std::time_t __wrap_time(std::time_t* out) {
  timespec now{};
  __wrap_clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
int __wrap_gettimeofday(timeval* out, void*) {
  timespec now{};
  __wrap_clock_gettime(CLOCK_REALTIME, &now);
  *out = {now.tv_sec, now.tv_nsec / 1'000};
  return 0;
}

/// What waits for a time of the agent's clock waits for one of the kernel's.
int __wrap_timerfd_settime(int fd, int flags, const itimerspec* at, itimerspec* before) {
  auto real = *at;
  if ((flags & TFD_TIMER_ABSTIME) != 0) {
    move(real.it_value, -ahead_ns(CLOCK_MONOTONIC));
    // 0 would be never, and before it is an error.
    if (real.it_value.tv_sec < 0 || (real.it_value.tv_sec == 0 && real.it_value.tv_nsec == 0)) {
      real.it_value = {0, 1};
    }
  }
  return __real_timerfd_settime(fd, flags, &real, before);
}
int __wrap_pthread_cond_clockwait(pthread_cond_t* changed, pthread_mutex_t* mutex, clockid_t id,
                                  const timespec* until) {
  auto real = *until;
  move(real, -ahead_ns(id));
  if (real.tv_sec < 0) real = {0, 0};
  return __real_pthread_cond_clockwait(changed, mutex, id, &real);
}

}  // extern "C"

void real_append(msp::queue::Queue&,
                 msp::metrics::Scrape) asm("__real__ZN3msp5queue5Queue6appendENS_7metrics6ScrapeE");
void wrapped_append(msp::queue::Queue&, msp::metrics::Scrape) asm(
    "__wrap__ZN3msp5queue5Queue6appendENS_7metrics6ScrapeE");

void wrapped_append(msp::queue::Queue& queue, msp::metrics::Scrape scrape) {
  auto made = record_of(scrape);
  record(made);
  real_append(queue, std::move(scrape));
  made.has_returned = 1;
  record(made);
}
