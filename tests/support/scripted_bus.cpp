#include "tests/support/scripted_bus.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <sstream>
#include <stdexcept>

namespace msp::test {
namespace {

class Encoder {
 public:
  explicit Encoder(bool is_big_endian) : is_big_endian_(is_big_endian) {}

  void byte(int value) { bytes += static_cast<char>(value); }
  void number(std::uint32_t value) {
    align(4);
    bytes += raw(value);
  }
  void string(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes.append(text).push_back('\0');
  }
  void signature(std::string_view text) {
    byte(static_cast<int>(text.size()));
    bytes.append(text).push_back('\0');
  }
  void align(std::size_t alignment) {
    while (bytes.size() % alignment != 0) bytes += '\0';
  }
  std::string raw(std::uint32_t value) const {
    std::string text;
    for (int i = 0; i < 4; ++i) {
      text += static_cast<char>(value >> 8 * (is_big_endian_ ? 3 - i : i));
    }
    return text;
  }

  std::string bytes;

 private:
  bool is_big_endian_;
};

/// A message of a type with a body. `number` is what it answers; 0 for a signal.
std::string message(bool is_big_endian, int type, std::uint32_t number,
                    const std::string& signature, const std::string& body,
                    const std::string& error = {}) {
  Encoder out(is_big_endian);
  out.byte(is_big_endian ? 'B' : 'l');
  out.byte(type);
  out.byte(1);
  out.byte(1);
  out.number(static_cast<std::uint32_t>(body.size()));
  out.number(77);
  Encoder fields(is_big_endian);
  const auto field = [&](int code, const char* of) {
    fields.align(8);
    fields.byte(code);
    fields.signature(of);
  };
  if (number != 0) {
    field(5, "u");
    fields.number(number);
  } else {
    field(1, "o");
    fields.string("/org/freedesktop/DBus");
  }
  if (!error.empty()) {
    field(4, "s");
    fields.string(error);
  }
  if (!signature.empty()) {
    field(8, "g");
    fields.signature(signature);
  }
  field(7, "s");
  fields.string("org.freedesktop.DBus");
  out.number(static_cast<std::uint32_t>(fields.bytes.size()));
  out.bytes += fields.bytes;
  out.align(8);
  return out.bytes + body;
}

/// The strings of a call, which is little-endian: those of its header, then its arguments.
std::vector<std::string> strings_of(std::string_view call, std::uint32_t& serial) {
  const auto number = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value |= static_cast<std::uint32_t>(static_cast<unsigned char>(call[at + i])) << 8 * i;
    }
    return value;
  };
  std::vector<std::string> strings;
  serial = number(8);
  const std::size_t fields_end = 16 + number(12);
  for (std::size_t at = 16; at < fields_end;) {
    at = (at + 7) / 8 * 8;
    const char type = call.at(at + 2);
    at += 4;
    if (type == 'g') {
      at += static_cast<unsigned char>(call.at(at)) + 2;
      continue;
    }
    const auto size = number(at);
    strings.emplace_back(call.substr(at + 4, size));
    at += 4 + size + 1;
  }
  for (std::size_t at = (fields_end + 7) / 8 * 8; at < call.size();) {
    at = (at + 3) / 4 * 4;
    const auto size = number(at);
    strings.emplace_back(call.substr(at + 4, size));
    at += 4 + size + 1;
  }
  return strings;
}

}  // namespace

ScriptedSystemd::ScriptedSystemd(const std::string& script) {
  std::istringstream lines(script);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "version") {
      words >> version_;
    } else if (kind == "state") {
      words >> state_;
    } else if (kind == "unit") {
      Unit unit;
      for (auto* field : {&unit.name, &unit.load_state, &unit.active_state, &unit.type,
                          &unit.restarts, &unit.control_group}) {
        words >> *field;
        if (*field == "-") field->clear();
      }
      units_.push_back(unit);
    } else if (kind == "big-endian") {
      is_big_endian_ = true;
    } else {
      throw std::invalid_argument("the script of a bus has a line '" + line + "'");
    }
  }
}

std::string ScriptedSystemd::text_property(const std::string& path, const std::string& name) const {
  if (path == "/org/freedesktop/systemd1") return name == "Version" ? version_ : state_;
  const auto& unit = units_.at(std::stoul(path.substr(path.rfind('/') + 1)));
  return name == "Type" ? unit.type : name == "NRestarts" ? unit.restarts : unit.control_group;
}

std::string ScriptedSystemd::answer(std::string_view call) const {
  std::uint32_t serial = 0;
  const auto strings = strings_of(call, serial);
  const auto& path = strings.at(0);
  const auto& member = strings.at(2);
  Encoder body(is_big_endian_);
  if (member == "Hello") {
    body.string(":1.42");
    return message(is_big_endian_, 4, 0, "s", body.bytes) +
           message(is_big_endian_, 2, serial, "s", body.bytes);
  }
  if (member == "ListUnits") {
    Encoder items(is_big_endian_);
    for (std::size_t i = 0; i < units_.size(); ++i) {
      const auto& unit = units_[i];
      items.align(8);
      for (const auto& text : {unit.name, std::string("A unit"), unit.load_state, unit.active_state,
                               std::string("sub"), std::string(),
                               "/org/freedesktop/systemd1/unit/" + std::to_string(i)}) {
        items.string(text);
      }
      items.number(0);
      items.string("");
      items.string("/");
    }
    body.number(static_cast<std::uint32_t>(items.bytes.size()));
    body.align(8);
    body.bytes += items.bytes;
    return message(is_big_endian_, 2, serial, "a(ssssssouso)", body.bytes);
  }
  const auto value = member == "Get" ? text_property(path, strings.at(5)) : std::string();
  if (value.empty()) {
    return message(is_big_endian_, 3, serial, "", "", "org.freedesktop.DBus.Error.UnknownProperty");
  }
  const bool is_number = strings.at(5) == "NRestarts";
  body.signature(is_number ? "u" : "s");
  if (is_number) {
    body.number(static_cast<std::uint32_t>(std::stoul(value)));
  } else {
    body.string(value);
  }
  return message(is_big_endian_, 2, serial, "v", body.bytes);
}

ScriptedBus::ScriptedBus(const std::filesystem::path& path, const std::string& script)
    : path_(path), systemd_(script), stop_(::eventfd(0, EFD_CLOEXEC)) {
  std::filesystem::create_directories(path.parent_path());
  listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof at.sun_path) throw std::length_error(path);
  std::strcpy(at.sun_path, path.c_str());
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(listener_.get(), 8) != 0) {
    throw std::runtime_error("cannot listen at " + path.string());
  }
  thread_ = std::jthread([this] { serve(); });
}

ScriptedBus::~ScriptedBus() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(stop_.get(), &one, sizeof one));
  thread_.join();
  std::filesystem::remove(path_);
}

std::string ScriptedBus::said() const {
  const std::lock_guard lock(mutex_);
  return said_;
}

void ScriptedBus::serve() {
  for (;;) {
    pollfd fds[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    const Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ++connections_;
    if (client) talk(client.get());
  }
}

/// False where the client or the bus goes.
bool ScriptedBus::read(int client, std::size_t bytes, std::string& in) {
  while (in.size() < bytes) {
    pollfd fds[] = {{client, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(fds, 2, -1);
    char buffer[4096];
    const auto got = fds[1].revents != 0 ? 0 : ::recv(client, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    in.append(buffer, static_cast<std::size_t>(got));
  }
  return true;
}

void ScriptedBus::talk(int client) {
  const auto say = [&](const std::string& text) {
    {
      const std::lock_guard lock(mutex_);
      if (connections_ == 1) said_ += text;
    }
    static_cast<void>(::send(client, text.data(), text.size(), MSG_NOSIGNAL));
  };
  std::string in;
  constexpr std::string_view kLines[] = {{"\0AUTH EXTERNAL\r\n", 16}, "DATA\r\n", "BEGIN\r\n"};
  for (const auto& line : kLines) {
    if (!read(client, line.size(), in) || !in.starts_with(line)) return;
    in.erase(0, line.size());
    if (line != kLines[2]) say(line == kLines[0] ? "DATA\r\n" : "OK 0123456789abcdef\r\n");
  }
  while (read(client, 16, in)) {
    const auto number = [&](std::size_t at) {
      return static_cast<unsigned char>(in[at]) + 256u * static_cast<unsigned char>(in[at + 1]);
    };
    const std::size_t size = 16 + (number(12) + 7) / 8 * 8 + number(4);
    if (!read(client, size, in)) return;
    say(systemd_.answer(std::string_view(in).substr(0, size)));
    in.erase(0, size);
  }
}

}  // namespace msp::test
