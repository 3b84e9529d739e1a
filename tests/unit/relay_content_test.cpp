#include "agent/relay/content.h"

#include <snappy.h>
#include <zstd.h>

#include <catch2/catch.hpp>

#include "agent/relay/relay_path.h"

namespace msp {
namespace {

constexpr std::size_t kMax = 100'000;

std::string snappied(const std::string& content) {
  std::string body;
  snappy::Compress(content.data(), content.size(), &body);
  return body;
}

std::string zstd(const std::string& content) {
  std::string body(ZSTD_compressBound(content.size()), '\0');
  body.resize(ZSTD_compress(body.data(), body.size(), content.data(), content.size(), 1));
  return body;
}

/// As a program writes it that does not know how much will come: without the size.
std::string zstd_stream(const std::string& content, int window_log = 0) {
  auto* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  if (window_log > 0) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  std::string body(ZSTD_compressBound(content.size()) + 64, '\0');
  ZSTD_inBuffer in{content.data(), content.size(), 0};
  ZSTD_outBuffer out{body.data(), body.size(), 0};
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_end);
  body.resize(out.pos);
  ZSTD_freeCCtx(context);
  return body;
}

}  // namespace

TEST_CASE("relay: bodies in snappy and in zstd, of one frame or more, with a size or without") {
  const std::string content = "a content that is not long, not long";
  CHECK(relay::decompress(snappied(content), relay::ContentEncoding::snappy, kMax).value() ==
        content);
  CHECK(relay::decompress(zstd(content), relay::ContentEncoding::zstd, kMax).value() == content);
  CHECK(relay::decompress(zstd_stream(content), relay::ContentEncoding::zstd, kMax).value() ==
        content);
  CHECK(relay::decompress(zstd(content) + zstd_stream(content), relay::ContentEncoding::zstd, kMax)
            .value() == content + content);
  for (const auto encoding : {relay::ContentEncoding::snappy, relay::ContentEncoding::zstd}) {
    CHECK(relay::decompress("", encoding, kMax).value().empty());
  }
}

TEST_CASE("relay: bombs, torn bodies and the other encoding are refused") {
  const std::string bomb(10 * kMax, 'x');
  const auto is_too_large = [](const std::string& body, relay::ContentEncoding encoding) {
    const auto content = relay::decompress(body, encoding, kMax);
    return !content && content.error().is_too_large;
  };
  CHECK(is_too_large(snappied(bomb), relay::ContentEncoding::snappy));
  CHECK(is_too_large(zstd(bomb), relay::ContentEncoding::zstd));
  CHECK(is_too_large(zstd_stream(bomb), relay::ContentEncoding::zstd));
  CHECK(is_too_large(zstd(bomb.substr(0, kMax)) + zstd("y"), relay::ContentEncoding::zstd));
  CHECK_FALSE(is_too_large(zstd(bomb.substr(0, kMax)), relay::ContentEncoding::zstd));
  const auto is_damaged = [](const std::string& body, relay::ContentEncoding encoding) {
    const auto content = relay::decompress(body, encoding, kMax);
    return !content && !content.error().is_too_large;
  };
  const std::string content = "a content that is not long, not long";
  CHECK(is_damaged(zstd(content), relay::ContentEncoding::snappy));
  CHECK(is_damaged(snappied(content), relay::ContentEncoding::zstd));
  CHECK(is_damaged("\x80\x80\x04\x01", relay::ContentEncoding::snappy));  // 64 KiB, it says
  CHECK(is_damaged(zstd_stream(content, 27), relay::ContentEncoding::zstd));
  for (const auto& [body, encoding] :
       {std::pair(snappied(content), relay::ContentEncoding::snappy),
        std::pair(zstd(content), relay::ContentEncoding::zstd),
        std::pair(zstd_stream(content), relay::ContentEncoding::zstd)}) {
    for (std::size_t size = 1; size < body.size(); ++size) {
      CHECK(is_damaged(body.substr(0, size), encoding));
    }
    CHECK(is_damaged(body + "x", encoding));
  }
}

TEST_CASE("relay: one that is sent to by way of itself notices it") {
  relay::RelayPath a("aaaaaaaaaaaaaaaa"), b("bbbbbbbbbbbbbbbb"), c;
  const auto header = [](const relay::RelayPath& path, std::int64_t now_ns) {
    return path.header_line(now_ns).substr(std::string_view("X-Msp-Agent-Via: ").size());
  };
  CHECK(header(a, 0) == "aaaaaaaaaaaaaaaa");
  CHECK(b.note(header(a, 0), 0));
  CHECK(c.note(header(b, 0), 0));
  CHECK(c.note("", 0));
  CHECK_FALSE(a.note(header(c, 0), 0));  // a -> b -> c -> a
  CHECK_FALSE(a.note(header(a, 0), 0));
  CHECK(a.note("nonsense, aaaa, AAAAAAAAAAAAAAAA,,", 0));
  // What was long ago is forgotten: b may be put behind a by then.
  const auto later = relay::RelayPath::kRememberedNs + 1;
  CHECK(a.note(header(b, later), later));
  std::string many;
  for (int i = 0; i < 1'000; ++i) many += relay::RelayPath::random_id() + ",";
  CHECK(a.note(many, later));
  CHECK(header(a, later).size() < 17 * (relay::RelayPath::kIdsMax + 1));
}

}  // namespace msp
