#include "agent/base/redact.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "agent/base/text.h"

namespace msp {
namespace {

std::string hidden(const Redactor& redactor, std::string text) {
  redactor.hide(text);
  return text;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  unsigned bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) text += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += kDigits[bits << (6 - count) & 63];
  while (text.size() % 4 != 0) text += '=';
  return text;
}

std::string percent_encoded(std::string_view bytes) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos) {
      text += c;
    } else {
      text += cat('%', kHex[byte >> 4], kHex[byte & 15]);
    }
  }
  return text;
}

TEST_CASE("a secret is hidden wherever it stands, one of three bytes is not") {
  Redactor redactor;
  redactor.add("hunter2");
  redactor.add("abc");
  CHECK(hidden(redactor, "hunter2") == "***");
  CHECK(hidden(redactor, "no user hunter2 (hunter2hunter2)") == "no user *** (******)");
  CHECK(hidden(redactor, "hunter") == "hunter");
  CHECK(hidden(redactor, "abc") == "abc");
  CHECK(hidden(redactor, "") == "");
}

TEST_CASE("of a secret that begins with another one nothing is left") {
  Redactor redactor;
  redactor.add("pass");
  redactor.add("password");
  CHECK(hidden(redactor, "a password") == "a ***");
  CHECK(hidden(redactor, "a passage") == "a ***age");
}

TEST_CASE("a secret is hidden in base64, whatever stands before and after it") {
  Redactor redactor;
  redactor.add("s3cr3t?>~");
  for (const std::string before : {"", "u", "us", "use", "user:"}) {
    for (const std::string after : {"", "x", "\n", "xyz"}) {
      const auto encoded = base64(before + "s3cr3t?>~" + after);
      INFO(encoded);
      CHECK(hidden(redactor, cat("Basic ", encoded, " is wrong")) == "Basic *** is wrong");
      std::string for_url;
      for (const char c : encoded) for_url += c == '+' ? '-' : c == '/' ? '_' : c;
      CHECK(hidden(redactor, cat("Basic ", for_url, " is wrong")) == "Basic *** is wrong");
    }
  }
}

TEST_CASE("a secret is hidden percent-encoded, decoded, and as HTML and JSON have it") {
  Redactor redactor;
  redactor.add("p&ss \"w<rd\"/");
  CHECK(hidden(redactor, "?p=p%26ss%20%22w%3Crd%22%2F") == "?p=***");
  CHECK(hidden(redactor, "?p=p%26ss%20%22w%3crd%22%2f") == "?p=***");
  CHECK(hidden(redactor, "<b>p&amp;ss &quot;w&lt;rd&quot;/</b>") == "<b>***</b>");
  CHECK(hidden(redactor, R"({"p":"p&ss \"w<rd\"/"})") == R"({"p":"***"})");
  Redactor of_proxy;
  of_proxy.add("h%40nter%2Fx");
  CHECK(hidden(of_proxy, "h@nter/x h%40nter%2Fx h%40nter%2fx") == "*** *** ***");
  CHECK(hidden(of_proxy, base64("carol:h@nter/x")) == "***");
}

TEST_CASE("a secret is hidden where only some of its bytes are escaped, also inside base64") {
  Redactor redactor;
  redactor.add("q%20ab%2Fu%261meWb0");  // as a URL of the configuration has it
  CHECK(hidden(redactor, "/q%20ab/u%261meWb0/404") == "/***/404");
  CHECK(hidden(redactor, "/q%2520ab/u&#38;1meWb0") == "/***");
  CHECK(hidden(redactor, cat("x ", base64("/q%20ab/u&1meWb0/404"), " y")) == "x *** y");
  Redactor other;
  other.add("s3cr3t?>~");
  std::string encoded;
  for (const char c : base64("u:s3cr3t?>~s3cr3t?>~"))
    encoded += c == '+' ? "%2B" : c == '/' ? "%2f" : cat(c);
  CHECK(encoded.find('%') != std::string::npos);
  CHECK(hidden(other, cat("[", encoded, "]")) == "[***]");
  CHECK(hidden(other, "100%, %, %4, &, &#;, &#x, \\, \\u12, +") ==
        "100%, %, %4, &, &#;, &#x, \\, \\u12, +");
}

TEST_CASE("of a URL the user's password and the values of its query are secrets") {
  Redactor redactor;
  redactor.add_url("https://carol:s3cr3t@h/write?token=t0ken-1&key=k3y-2#fr4gment");
  CHECK(hidden(redactor, "s3cr3t t0ken-1 k3y-2 fr4gment") == "*** *** *** ***");
  CHECK(hidden(redactor, "https://h/write?token=t0ken-1") == "https://h/write?token=***");
  Redactor none;
  none.add_url("https://h/write");
  CHECK(none.empty());
  Redactor without_user;
  without_user.add_url("http://s3cr3t@proxy:3128");
  CHECK(hidden(without_user, "s3cr3t") == "***");
}

TEST_CASE("the password of a basic login is hidden without the user") {
  Redactor redactor;
  redactor.add_basic_login(base64("carol:s3cr3t:x"));
  CHECK(hidden(redactor, "carol s3cr3t:x") == "carol ***");
  Redactor damaged;
  damaged.add_basic_login("!");
  damaged.add_basic_login(base64("carol"));
  CHECK(damaged.empty());
}

TEST_CASE("the login in a URL is hidden, whosever it is") {
  const Redactor redactor;
  CHECK(hidden(redactor, "see http://admin:x@10.0.0.1/a, not http://b/c@d") ==
        "see http://***@10.0.0.1/a, not http://b/c@d");
  CHECK(hidden(redactor, "://@ :// ://a@") == "://***@ :// ://***@");
}

TEST_CASE("a secret that was cut off is hidden as far as it is there") {
  Redactor redactor;
  redactor.add("s3cr3t-of-mine");
  std::string text = "you sent s3cr3t-o";
  redactor.hide_cut(text);
  CHECK(text == "you sent ***");
  text = cat("you sent ", base64("user:s3cr3t-of-mine").substr(0, 16));
  redactor.hide_cut(text);
  CHECK(text == "you sent ***");
  text = "you sent s3cr3t%2dof%2";
  redactor.hide_cut(text);
  CHECK(text == "you sent ***");
  text = "you sent s3c";
  redactor.hide_cut(text);
  CHECK(text == "you sent s3c");
  text = "you sent s3cr3t-o";
  redactor.hide(text);
  CHECK(text == "you sent s3cr3t-o");
}

TEST_CASE("no form of any secret is left in any text") {
  std::mt19937 random(20261127);
  const auto text_of = [&](std::size_t size, int first, int last) {
    std::string text;
    while (text.size() < size) {
      text += static_cast<char>(first +
                                static_cast<int>(random() % static_cast<unsigned>(last - first)));
    }
    return text;
  };
  for (int round = 0; round < 3000; ++round) {
    const auto secret = text_of(4 + random() % 30, 0x21, 0x7f);
    Redactor redactor;
    redactor.add(secret);
    const auto around = [&] { return text_of(random() % 9, 0x20, 0x7f); };
    std::string text = around();
    const auto in_base64 =
        base64(text_of(random() % 5, 0, 256) + secret + text_of(random() % 5, 0, 256));
    text += cat(secret, around(), " ", in_base64, " ", percent_encoded(secret), around(), secret);
    CAPTURE(secret, text);
    const auto redacted = hidden(redactor, text);
    CAPTURE(redacted);
    REQUIRE(redacted.find(secret) == std::string::npos);
    REQUIRE(redacted.find(in_base64) == std::string::npos);
    REQUIRE(redacted.find(percent_encoded(secret)) == std::string::npos);
  }
}

TEST_CASE("the secrets of the configuration before are hidden as well, those before it are not") {
  for (const std::string secret : {"first-secret", "second-secret", "third-secret"}) {
    Redactor redactor;
    redactor.add(secret);
    set_secrets(std::move(redactor));
  }
  CHECK(redact("first-secret second-secret third-secret") == "first-secret *** ***");
  set_secrets({});
  set_secrets({});
  CHECK(redact("third-secret") == "third-secret");
}

}  // namespace
}  // namespace msp
