// The running agent as another process sees it: its status file, and whether the process that wrote
// it is still there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/document.h"

namespace msp::cli {

struct SeenStatus {
  enum class Life {
    running,
    hangs,       // the process is there, and its file is old
    stopped,     // it ended in an orderly way
    gone,        // it did not: killed, or the host went down
    unreadable,  // there is a file, and `problem` is why it says nothing
    absent,      // there is no file
  };
  Life life = Life::absent;
  std::string problem = {};
  std::string path = {};
  std::string text = {};      // of the file
  config::NodePtr root = {};  // of the file; null: unreadable or absent
  double age_seconds = 0;     // of the file
  char process_state = '?';   // of a process that hangs, see ProcessStat
};

/// Of the first file that is there. `boot_ns` is CLOCK_BOOTTIME now.
SeenStatus see_status(const std::vector<std::string>& paths, std::int64_t boot_ns);

/// The same, after a running agent was asked to write its file now, which takes its user or root:
/// without that, or from an agent that does not know the question, the file as it is. An agent that
/// does not answer within 10 s hangs.
SeenStatus ask_status(const std::vector<std::string>& paths);

/// What a status file's text says, without a look at the process. `path` is for messages.
SeenStatus read_status(std::string text, const std::string& path);

// Values of the file. What is not there is empty, NaN or false: another version wrote it.
const config::Node* find_value(const config::Node* mapping, std::string_view key);
std::string text_of(const config::Node* mapping, std::string_view key);  // fit for a terminal
double number_of(const config::Node* mapping, std::string_view key);
bool is_true(const config::Node* mapping, std::string_view key);
std::vector<const config::Node*> items_of(const config::Node* mapping, std::string_view key);

}  // namespace msp::cli
