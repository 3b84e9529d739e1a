// Bytes from anywhere as HTTP requests: no crash, no memory without end, the same requests however the
// bytes are cut into pieces, and none that two programs could read in two ways. libFuzzer takes
// LLVMFuzzerTestOneInput as it is; without it this is a program:
//
//     request_fuzz [--runs=N] [--seed=N]
//
// mutates requests that are made here.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/text.h"
#include "agent/listen/request_parser.h"
#include "tests/support/fuzz_input.h"

namespace {

using State = msp::listen::RequestParser::State;

constexpr std::size_t kBodyBytesMax = 5000;

std::uint64_t g_requests = 0;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "request_fuzz: %s\n", what);
  std::abort();
}

std::size_t count(const msp::listen::HttpRequestHead& head, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count(head.fields, name, &msp::listen::HttpRequestHead::Field::name));
}

void check(const msp::listen::RequestParser& parser) {
  const auto& head = parser.head();
  require(!head.method.empty() && head.path.starts_with('/'), "a request without method or path");
  require(head.fields.size() <= msp::listen::RequestParser::kFieldsMax,
          "more fields than there may be");
  require(count(head, "content-length") + count(head, "transfer-encoding") <= 1, "two lengths");
  require(count(head, "host") <= 1, "two hosts");
  require(parser.body_bytes() <= kBodyBytesMax, "the body is too long");
  require(head.is_chunked || parser.body_bytes() == head.content_length, "another length");
  for (const auto& field : head.fields) {
    require(field.name.find_first_of(" \t\r\n:") == std::string::npos, "a name that is none");
    require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
            "a line end in a value");
  }
}

/// What comes out of the bytes, with `piece` of them at a time.
std::vector<std::string> read(std::string_view bytes, std::size_t piece) {
  std::vector<std::string> requests;
  std::string input;
  auto parser = std::make_unique<msp::listen::RequestParser>();
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    input += bytes.substr(at, piece);
    for (;;) {
      const auto before = parser->state();
      const auto had = input.size();
      const auto state = parser->put(input);
      if (before == State::head && state == State::body) parser->limit_body(kBodyBytesMax);
      if (state == State::bad) {
        require(parser->status() >= 400 && parser->status() < 600, "no status");
        require(!parser->problem().empty(), "no problem");
        return requests;
      }
      if (state == State::done) {
        check(*parser);
        ++g_requests;
        requests.push_back(msp::cat(parser->head().method, " ", parser->head().path, "?",
                                    parser->head().query, "\n", parser->body()));
        parser = std::make_unique<msp::listen::RequestParser>();
        continue;
      }
      require(input.size() <= msp::listen::RequestParser::kHeadBytesMax + piece,
              "input that is kept without end");
      if (state == before && (input.size() == had || input.empty())) break;
    }
  }
  return requests;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = read(bytes, size + 1);
  for (const std::size_t piece : {1, 3, 64}) {
    const auto cut = read(bytes, piece);
    // What is refused for its size is refused earlier in small pieces.
    require(cut.size() <= whole.size() && std::equal(cut.begin(), cut.end(), whole.begin()),
            "other requests in pieces");
  }
  return 0;
}

#ifndef MSP_AGENT_LIBFUZZER
namespace {

const std::string kRequests[] = {
    "GET /metrics?collect[]=cpu HTTP/1.1\r\nHost: a:9100\r\nAccept-Encoding: gzip\r\n"
    "Authorization: Bearer x\r\n\r\n",
    "POST /api/v1/write HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nContent-Encoding: "
    "snappy\r\n\r\nhello world",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n "
    "world\r\n0\r\n"
    "X: y\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"};

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string make() {
    std::string bytes;
    for (auto left = 1 + below(3); left > 0; --left)
      bytes += kRequests[below(std::size(kRequests))];
    for (auto left = below(4); left > 0; --left) harm(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) {
    return n == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  void harm(std::string& bytes) {
    const std::string_view kPieces[] = {"\r\n",
                                        "\n",
                                        "\r",
                                        "\r\n\r\n",
                                        " ",
                                        "\t",
                                        ":",
                                        ",",
                                        "0\r\n\r\n",
                                        "Content-Length: 3\r\n",
                                        "Transfer-Encoding: chunked\r\n",
                                        "Transfer-Encoding: gzip\r\n",
                                        "HTTP/1.1",
                                        "0x",
                                        "-1",
                                        "ffffffffffffffff",
                                        "99999999999999999999",
                                        "Host: b\r\n",
                                        " folded\r\n"};
    const auto at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes.erase(at, 1 + below(16));
        break;
      case 1:
        bytes.insert(at, bytes.substr(below(bytes.size()), below(64)));
        break;
      case 2:
        bytes.insert(at, below(20'000), static_cast<char>('a' + below(3)));
        break;
      case 3:
        if (!bytes.empty()) bytes[at] = static_cast<char>(below(256));
        break;
      default:
        bytes.insert(at, kPieces[below(std::size(kPieces))]);
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
  for (const auto& bytes : kRequests) run(bytes);
  require(g_requests > 0, "no request was read");
  Mutator mutator(input.seed);
  for (std::uint64_t i = 0; i < input.runs; ++i) run(mutator.make());
  std::printf("request_fuzz: %llu requests\n", static_cast<unsigned long long>(g_requests));
}
#endif
