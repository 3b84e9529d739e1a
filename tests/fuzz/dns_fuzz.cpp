// Bytes from anywhere as what a name server answers to a probe: no crash, no read beyond the end, no
// loop, and texts of a bounded size. libFuzzer takes LLVMFuzzerTestOneInput as it is; without it this
// is a program:
//
//     dns_fuzz [--runs=N] [--seed=N]
//
// mutates an answer with records of each type.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

#include "agent/base/text.h"
#include "agent/sources/probe/dns_message.h"

namespace {

std::uint64_t g_answers = 0;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "dns_fuzz: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string message(reinterpret_cast<const char*>(data), size);
  const auto answer = msp::sources::DnsAnswer::parse(message);
  if (!answer) {
    require(msp::is_printable(answer.error().text), "an error is no line");
    return 0;
  }
  ++g_answers;
  for (const auto section : {msp::sources::DnsAnswer::answer, msp::sources::DnsAnswer::authority,
                             msp::sources::DnsAnswer::additional}) {
    for (const auto& record : answer->records(section)) {
      const auto text = answer->text(record);
      require(msp::is_utf8(text), "a record is no text");
      // Each byte takes up to four; names take 255 bytes wherever they stand.
      require(text.size() <= 4 * (std::size_t{record.data_size} + 3 * 255) + 64,
              "a record is too long");
    }
  }
  static_cast<void>(answer->serial());
  return 0;
}

#ifndef MSP_AGENT_LIBFUZZER
namespace {

std::string whole() {
  using namespace std::string_literals;
  std::string message = "\1\2\x84\0\0\1\0\6\0\2\0\1"s + "\1a\7example\0\0\xff\0\1"s;
  const auto add = [&](const std::string& type, const std::string& data) {
    message += "\xc0\x0c"s + type + "\0\1\0\0\0\x3c\0"s + static_cast<char>(data.size()) + data;
  };
  add("\0\1"s, "\xc0\0\2\1"s);
  add("\0\x1c"s, std::string(16, '\x20'));
  add("\0\5"s, "\1b\xc0\x0e"s);
  add("\0\xf"s, "\0\xa\4mail\xc0\x0e"s);
  add("\0\x10"s, "\3abc\5defgh"s);
  add("\1\1"s, "\0\5issueca"s);
  add("\0\2"s, "\2ns\xc0\x0e"s);
  add("\0\6"s, "\xc0\x0c\xc0\x0e"s + std::string(20, '\1'));
  add("\0\x21"s, "\0\1\0\2\1\xbb\xc0\x0c"s);
  return message;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string of(std::string bytes) {
    for (auto left = 1 + below(4); left > 0; --left) harm(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) {
    return n == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  void harm(std::string& bytes) {
    const auto at = below(bytes.size());
    constexpr unsigned char kBytes[] = {0, 1, 2, 6, 12, 14, 16, 63, 64, 0x80, 0xc0, 0xc1, 0xff};
    switch (below(6)) {
      case 0:
        bytes.erase(at, 1 + below(16));
        break;
      case 1:
        bytes.insert(at, bytes.substr(below(bytes.size()), below(64)));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:  // a pointer
        bytes.insert(at, {'\xc0', static_cast<char>(below(bytes.size() + 1))});
        break;
      default:
        if (!bytes.empty()) bytes[at] = static_cast<char>(kBytes[below(std::size(kBytes))]);
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 10'000, seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    const auto value = argument.substr(std::min(argument.find('=') + 1, argument.size()));
    const auto number = msp::parse_number<std::uint64_t>(value);
    const bool is_runs = argument.starts_with("--runs="), is_seed = argument.starts_with("--seed=");
    if (!number || (!is_runs && !is_seed)) {
      std::fprintf(stderr, "usage: dns_fuzz [--runs=N] [--seed=N]\n");
      return 2;
    }
    (is_runs ? runs : seed) = *number;
  }
  const auto good = whole();
  Mutator mutator(seed);
  for (std::uint64_t run = 0; run < runs; ++run) {
    const auto bytes = run == 0 ? good : mutator.of(good);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    require(run > 0 || g_answers == 1, "the good answer is none");
  }
  std::printf("dns_fuzz: %llu runs, %llu answers\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(g_answers));
}
#endif
