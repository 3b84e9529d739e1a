// Questions to name servers and their answers (RFC 1035, section 4). An answer comes from anywhere and
// may lie about every length: nothing is read beyond its end, and a pointer in a name leads backward
// only, so that each name ends. What a record says is made into text when that is asked for, as
// blackbox_exporter's library writes it: "a.example.\t60\tIN\tA\t192.0.2.1".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"

namespace msp::sources {

struct DnsQuestion {
  std::string name;  // "example.com", with or without its last dot; "." for the root
  std::uint16_t type = 255;
  bool wants_recursion = true;
};

/// The message that asks it. Nothing where the name is none.
std::optional<std::string> dns_request(const DnsQuestion& question, std::uint16_t id);

class DnsAnswer {
 public:
  enum Section { answer, authority, additional };

  struct Record {
    std::uint16_t at;  // its begin in the message
    std::uint16_t data_at;
    std::uint16_t data_size;
    std::uint16_t type;
  };

  /// `message` is a whole one.
  static Result<DnsAnswer> parse(std::string message);

  std::uint16_t rcode() const { return rcode_; }
  const std::vector<Record>& records(Section section) const { return sections_[section]; }
  std::string text(const Record& record) const;
  /// Of the last SOA record in the answer section.
  std::optional<std::uint32_t> serial() const;

 private:
  explicit DnsAnswer(std::string message) : message_(std::move(message)) {}
  Result<void> read();

  std::string message_;
  std::uint16_t rcode_ = 0;
  std::vector<Record> sections_[3];
};

/// Whether `message` answers `request`: the id and the question, which a server repeats. An answer
/// without a question, as to one that could not be read, counts as well.
bool answers(std::string_view message, std::string_view request);

}  // namespace msp::sources
