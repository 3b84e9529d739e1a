// How a run of the agent ends, told to the centre in the last samples, and to the next run in a
// file of the buffer's folder: `stop` has one line, a word and the boot ID of the kernel,
//
//   running 5f0c3e4a-6a35-4c56-8b7e-0d9c0c7c0b1e
//
// A run that finds `running` knows that the one before was killed, or that the host went down
// without a shutdown, where the boot ID is another one.
#pragma once

#include <atomic>
#include <string>

namespace msp::run {

/// The numbers are values of msp_agent_stop_reason and msp_agent_previous_stop_reason.
enum class StopReason {
  none = 0,      // it runs; of the run before: not known
  stop = 1,      // the agent was told to stop
  shutdown = 2,  // the host shuts down or reboots
  killed = 3,    // the agent was killed, or crashed
  host = 4,      // the host crashed or lost power
};

class LastStop {
 public:
  /// `boot_id` is what /proc/sys/kernel/random/boot_id has; may be empty.
  LastStop(std::string folder, std::string boot_id)
      : folder_(std::move(folder)), boot_id_(std::move(boot_id)) {}

  /// Reads what the run before has left, and writes that this one runs. May wait for the disk; one
  /// that cannot be used leaves `none`.
  void begin();

  /// Writes how this run ended: `stop` or `shutdown`. May wait for the disk.
  void end(StopReason reason) const;

  /// How the run before ended. Any thread.
  StopReason before() const { return before_; }

 private:
  void write(std::string_view word) const;

  const std::string folder_;
  const std::string boot_id_;
  std::atomic<StopReason> before_ = StopReason::none;
};

/// Of the running kernel; empty where it does not say.
std::string boot_id();

}  // namespace msp::run
