#include "agent/sources/probe/dns_message.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "agent/base/dns_names.h"
#include "agent/base/text.h"

namespace msp::sources {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::size_t kNone = std::string_view::npos;
constexpr std::uint16_t kClassIn = 1;

void add16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}

unsigned byte_at(std::string_view message, std::size_t at) {
  return static_cast<unsigned char>(message[at]);
}
/// The caller knows that they are there.
std::uint16_t read16(std::string_view message, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(message, at) << 8 | byte_at(message, at + 1));
}
std::uint32_t read32(std::string_view message, std::size_t at) {
  return static_cast<std::uint32_t>(read16(message, at)) << 16 | read16(message, at + 2);
}

void add_escaped(std::string_view bytes, std::string_view special, std::string& out) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte > '~') {
      out += '\\';
      for (const int digit : {byte / 100, byte / 10 % 10, byte % 10}) {
        out += static_cast<char>('0' + digit);
      }
      continue;
    }
    if (special.find(c) != special.npos) out += '\\';
    out += c;
  }
}

/// Appends the name that begins at `at`; where it ends, or kNone.
std::size_t add_name(std::string_view message, std::size_t at, std::string& out) {
  const auto begin = out.size();
  std::size_t end = kNone;
  std::size_t pointed_before = at;  // a pointer leads to what is before that
  for (std::size_t bytes = 1;;) {
    if (at >= message.size()) return kNone;
    const auto size = byte_at(message, at);
    if (size >= 0xc0) {
      if (at + 1 >= message.size()) return kNone;
      if (end == kNone) end = at + 2;
      at = read16(message, at) & 0x3fffu;
      if (at >= pointed_before) return kNone;
      pointed_before = at;
      continue;
    }
    if (size > kLabelBytesMax || size >= message.size() - at) return kNone;
    bytes += size + 1;
    if (size == 0) break;
    if (bytes > kNameBytesMax) return kNone;
    add_escaped(message.substr(at + 1, size), ". '@;()\"\\", out);
    out += '.';
    at += size + 1;
  }
  if (out.size() == begin) out += '.';
  return end == kNone ? at + 1 : end;
}

/// "\# 4 c0000201" (RFC 3597).
void add_unknown(std::string_view data, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += cat("\\# ", data.size(), " ");
  for (const char c : data) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
}

/// What a record holds, as text.
class DataWriter {
 public:
  DataWriter(std::string_view message, const DnsAnswer::Record& record, std::string& out)
      : message_(message.substr(0, record.data_at + std::size_t{record.data_size})),
        at_(record.data_at),
        out_(out) {}

  /// False: the data is not what the type says.
  bool write(std::string_view type) {
    const auto data = message_.substr(at_);
    if (type == "A") return address(AF_INET, 4);
    if (type == "AAAA") return address(AF_INET6, 16);
    if (type == "NS" || type == "CNAME" || type == "PTR" || type == "DNAME") {
      return name() && is_at_end();
    }
    if (type == "MX") return number16() && blank() && name() && is_at_end();
    if (type == "SRV") {
      return number16() && blank() && number16() && blank() && number16() && blank() && name() &&
             is_at_end();
    }
    if (type == "SOA") return soa();
    if (type == "TXT" || type == "SPF") return texts();
    if (type == "CAA") return caa();
    add_unknown(data, out_);
    return true;
  }

 private:
  bool is_at_end() const { return at_ == message_.size(); }
  bool has(std::size_t bytes) const { return message_.size() - at_ >= bytes; }
  bool blank() {
    out_ += ' ';
    return true;
  }

  bool address(int family, std::size_t bytes) {
    if (message_.size() - at_ != bytes) return false;
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(family, message_.data() + at_, text, sizeof text);
    out_ += text;
    return true;
  }

  bool name() {
    at_ = add_name(message_, at_, out_);
    return at_ != kNone;
  }

  bool number16() {
    if (!has(2)) return false;
    out_ += cat(read16(message_, std::exchange(at_, at_ + 2)));
    return true;
  }

  /// The names of the server and the mailbox, then serial, refresh, retry, expire, minimum.
  bool soa() {
    if (!name() || !blank() || !name() || message_.size() - at_ != 20) return false;
    for (; !is_at_end(); at_ += 4) out_ += cat(" ", read32(message_, at_));
    return true;
  }

  bool quoted(std::size_t size) {
    if (!has(size)) return false;
    out_ += '"';
    add_escaped(message_.substr(at_, size), "\"\\", out_);
    out_ += '"';
    at_ += size;
    return true;
  }

  bool texts() {
    for (bool is_first = true; !is_at_end(); is_first = false) {
      if (!is_first) out_ += ' ';
      const auto size = byte_at(message_, at_++);
      if (!quoted(size)) return false;
    }
    return true;
  }

  /// Flags, a tag with its length, the value.
  bool caa() {
    if (!has(2)) return false;
    const auto flags = byte_at(message_, at_);
    const std::size_t tag = byte_at(message_, at_ + 1);
    at_ += 2;
    if (!has(tag)) return false;
    out_ += cat(flags, " ");
    add_escaped(message_.substr(at_, tag), "\"\\", out_);
    out_ += ' ';
    at_ += tag;
    return quoted(message_.size() - at_);
  }

  const std::string_view message_;  // to the end of the data
  std::size_t at_;
  std::string& out_;
};

/// Name, ttl, class, type, data, as the text of a zone has them.
bool add_record(std::string_view message, const DnsAnswer::Record& record, std::string& out) {
  const auto head = add_name(message, record.at, out);
  const auto record_class = read16(message, head + 2);
  const auto type = dns_word(kDnsTypes, record.type);
  out += cat("\t", read32(message, head + 4), "\t");
  out += record_class == kClassIn ? std::string("IN") : cat("CLASS", record_class);
  out += cat("\t", type.empty() ? cat("TYPE", record.type) : std::string(type), "\t");
  return DataWriter(message, record, out).write(record_class == kClassIn ? type : "");
}

/// In whatever letters: a server may repeat them in others.
bool is_same_name(std::string_view a, std::string_view b) {
  const auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, small, small);
}

Result<void> damaged(std::string_view what) {
  return failed(cat("the answer is damaged: ", what));
}

}  // namespace

std::optional<std::string> dns_request(const DnsQuestion& question, std::uint16_t id) {
  std::string message;
  add16(message, id);
  add16(message, question.wants_recursion ? 0x0100 : 0);
  for (const unsigned count : {1, 0, 0, 0}) add16(message, count);
  std::string_view name = question.name;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (question.name.empty() || name.size() > kNameBytesMax - 2) return std::nullopt;
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > kLabelBytesMax || name.size() == label.size() + 1) {
      return std::nullopt;
    }
    message += static_cast<char>(label.size());
    message += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  message += '\0';
  add16(message, question.type);
  add16(message, kClassIn);
  return message;
}

bool answers(std::string_view message, std::string_view request) {
  if (message.size() < kHeaderBytes || read16(message, 0) != read16(request, 0)) return false;
  if ((byte_at(message, 2) & 0x80) == 0) return false;
  if (read16(message, 4) == 0) return true;
  const auto asked = request.substr(kHeaderBytes);
  return read16(message, 4) == 1 && is_same_name(message.substr(kHeaderBytes, asked.size()), asked);
}

Result<DnsAnswer> DnsAnswer::parse(std::string message) {
  DnsAnswer made(std::move(message));
  if (auto read = made.read(); !read) return read.error();
  return made;
}

Result<void> DnsAnswer::read() {
  const std::string_view message = message_;
  if (message.size() < kHeaderBytes || message.size() > UINT16_MAX) return damaged("its length");
  rcode_ = static_cast<std::uint16_t>(byte_at(message, 3) & 15);
  std::size_t at = kHeaderBytes;
  std::string scratch;
  for (unsigned left = read16(message, 4); left > 0; --left) {
    scratch.clear();
    at = add_name(message, at, scratch);
    if (at == kNone || message.size() - at < 4) return damaged("a question");
    at += 4;
  }
  for (std::size_t section = 0; section < 3; ++section) {
    for (unsigned left = read16(message, 6 + 2 * section); left > 0; --left) {
      scratch.clear();
      const auto head = add_name(message, at, scratch);
      if (head == kNone || message.size() - head < 10) return damaged("a record");
      const auto size = read16(message, head + 8);
      if (message.size() - head - 10 < size) return damaged("a record is longer than the answer");
      const Record record{static_cast<std::uint16_t>(at), static_cast<std::uint16_t>(head + 10),
                          size, read16(message, head)};
      scratch.clear();
      if (!add_record(message, record, scratch)) return damaged("what a record holds");
      sections_[section].push_back(record);
      at = head + 10 + size;
    }
  }
  return {};
}

std::string DnsAnswer::text(const Record& record) const {
  std::string text;
  static_cast<void>(add_record(message_, record, text));  // parse() has seen that it is good
  return text;
}

std::optional<std::uint32_t> DnsAnswer::serial() const {
  std::optional<std::uint32_t> serial;
  for (const auto& record : records(answer)) {
    if (record.type != dns_number(kDnsTypes, "SOA") || record.data_size < 20) continue;
    serial = read32(message_, record.data_at + record.data_size - 20u);
  }
  return serial;
}

}  // namespace msp::sources
