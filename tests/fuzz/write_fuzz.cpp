// Bytes from anywhere as messages of remote write, compressed or not: no crash, no memory without end,
// and what comes out is a message that can be read again as the same, with the labels that are
// enforced and no others of their names. libFuzzer takes LLVMFuzzerTestOneInput as it is; without it
// this is a program:
//
//     write_fuzz [--runs=N] [--seed=N]
//
// mutates messages that are made here.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/queue/bytes.h"
#include "agent/queue/wire_reader.h"
#include "agent/relay/content.h"
#include "agent/relay/write_message.h"
#include "tests/support/fuzz_input.h"

namespace {

constexpr std::size_t kContentMax = 200'000;
const std::vector<msp::metrics::Label> kEnforced = {{"customer_id", "alpha"}, {"role", ""}};

std::uint64_t g_series = 0;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "write_fuzz: %s\n", what);
  std::abort();
}

/// The labels of a series as it is sent on.
void check_labels(std::string_view field) {
  msp::queue::WireReader top(field);
  require(top.next() && top.field() == 1, "no field of a series");
  msp::queue::WireReader series(top.bytes());
  std::string before;
  bool is_first = true;
  bool has_name = false;
  std::string customer;
  while (series.next()) {
    if (series.field() != 1) continue;
    msp::queue::WireReader label(series.bytes());
    std::string name, value;
    while (label.next()) (label.field() == 1 ? name : value) = label.bytes();
    require(label.ok() && !name.empty() && !value.empty(), "a label that is none");
    require(is_first || before < name, "labels out of order, or one twice");
    require(name != "role", "a label that is taken away");
    has_name = has_name || name == "__name__";
    if (name == "customer_id") customer = value;
    before = name;
    is_first = false;
  }
  require(series.ok() && has_name && customer == "alpha", "another customer");
}

void read(std::string_view message, msp::relay::WriteVersion version) {
  static msp::relay::WriteMessageReader reader;
  std::string out;
  msp::relay::SampleCounts counts;
  const auto outcome = reader.read(message, version, kEnforced,
                                   [&](std::string_view field, const msp::relay::SampleCounts& of) {
                                     check_labels(field);
                                     out += field;
                                     counts.add(of);
                                     ++g_series;
                                   });
  if (!outcome) return require(out.empty(), "a part of what is refused");
  require(counts.all() == outcome->taken.all(), "another count");
  require(out.size() <= msp::relay::WriteMessageReader::kBytesMax, "more than there may be");
  // Of itself it makes the same again.
  std::string again;
  const auto second =
      reader.read(out, msp::relay::WriteVersion::v1, kEnforced,
                  [&](std::string_view field, const msp::relay::SampleCounts&) { again += field; });
  require(second.has_value() && second->skipped_series == 0 && again == out, "not the same again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const auto version : {msp::relay::WriteVersion::v1, msp::relay::WriteVersion::v2}) {
    read(bytes, version);
    for (const auto encoding :
         {msp::relay::ContentEncoding::snappy, msp::relay::ContentEncoding::zstd}) {
      const auto content = msp::relay::decompress(bytes, encoding, kContentMax);
      if (!content) continue;
      require(content->size() <= kContentMax, "a content without end");
      read(*content, version);
    }
  }
  return 0;
}

#ifndef MSP_AGENT_LIBFUZZER
namespace {

std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  msp::queue::append_varint(out, bytes.size());
  return out.append(bytes);
}

std::string label(std::string_view name, std::string_view value) {
  return field(1, field(1, name) + field(2, value));
}

const std::string kSample = field(2, std::string("\x09\0\0\0\0\0\0\xf8\x3f\x10\xe8\x07", 12));
const std::string kHistogram = std::string("\x08\x03\x19\0\0\0\0\0\0\x04\x40\x20\x02", 13) +
                               field(11, "\x08\x02\x10\x01") + field(12, "\x02\x04") + "\x78\x07";

const std::string kMessages[] = {
    field(1, label("__name__", "up") + label("customer_id", "beta") + label("job", "node") +
                 kSample + kSample),
    field(1, label("role", "x") + label("__name__", "node_load1") + kSample) +
        field(3, field(2, "node_load1")),
    field(1, label("__name__", "h") + field(4, kHistogram) + field(3, label("trace", "1"))),
    field(4, "") + field(4, "__name__") + field(4, "up") + field(4, "customer_id") +
        field(4, "beta") +
        field(5, field(1, std::string("\x01\x02\x03\x04", 4)) + kSample + field(3, kHistogram) +
                     field(5, "\x08\x02"))};

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string make() {
    std::string bytes;
    for (auto left = 1 + below(3); left > 0; --left)
      bytes += kMessages[below(std::size(kMessages))];
    for (auto left = below(5); left > 0; --left) harm(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) {
    return n == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  void harm(std::string& bytes) {
    const auto at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes.erase(at, 1 + below(16));
        break;
      case 1:
        bytes.insert(at, bytes.substr(below(bytes.size()), below(64)));
        break;
      case 2:
        bytes.insert(at, below(2'000), static_cast<char>(below(256)));
        break;
      case 3:
        bytes.insert(at, label("customer_id", "beta"));
        break;
      default:
        if (!bytes.empty()) bytes[at] = static_cast<char>(below(256));
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto run = [](const std::string& bytes) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  };
  const msp::test::FuzzInput input(argc, argv, [](const auto&) { return true; });
  for (const auto& bytes : input.corpus) run(bytes);
  for (const auto& bytes : kMessages) run(bytes);
  require(g_series >= std::size(kMessages), "no series was read");
  Mutator mutator(input.seed);
  for (std::uint64_t i = 0; i < input.runs; ++i) run(mutator.make());
  std::printf("write_fuzz: %llu series\n", static_cast<unsigned long long>(g_series));
}
#endif
