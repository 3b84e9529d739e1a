// A system bus with a systemd behind it, on a unix socket: answers calls by a text, a line each.
//
//   version 252.39-1~deb12u1
//   state running
//   unit NAME LOAD-STATE ACTIVE-STATE [TYPE [RESTARTS [CONTROL-GROUP]]]    "-" for none
//   big-endian                                                           how it answers
//
// The encoding is written here once more, so that both sides cannot be wrong in the same way.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/base/file.h"

namespace msp::test {

/// What a systemd of such a text answers, without a socket.
class ScriptedSystemd {
 public:
  explicit ScriptedSystemd(const std::string& script);

  /// The answer to a call, and a signal before it, as a bus sends some.
  std::string answer(std::string_view call) const;

 private:
  struct Unit {
    std::string name, load_state, active_state, type, restarts, control_group;
  };

  std::string text_property(const std::string& path, const std::string& name) const;

  std::string version_, state_;
  std::vector<Unit> units_;
  bool is_big_endian_ = false;
};

class ScriptedBus {
 public:
  /// Listens at `path` until it is destroyed.
  ScriptedBus(const std::filesystem::path& path, const std::string& script);
  ~ScriptedBus();

  int connections() const { return connections_; }
  /// All that it has sent to the first client, once that has got it.
  std::string said() const;

 private:
  void serve();
  void talk(int client);
  bool read(int client, std::size_t bytes, std::string& in);

  const std::filesystem::path path_;
  const ScriptedSystemd systemd_;
  Fd listener_;
  Fd stop_;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::string said_;
  std::jthread thread_;
};

}  // namespace msp::test
