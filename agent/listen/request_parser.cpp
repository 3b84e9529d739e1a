#include "agent/listen/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

#include "agent/base/text.h"

namespace msp::listen {
namespace {

namespace http = boost::beast::http;

// Of a chunk's header with what it has behind its size, and of the fields behind the last chunk.
constexpr std::size_t kChunkHeaderBytesMax = 4 * 1024;
constexpr std::size_t kLengthDigitsMax = 18;

bool is_digits(std::string_view text) {
  return !text.empty() && text.size() <= kLengthDigitsMax &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// What is wrong with the lines of a head, whatever they say; empty: nothing.
std::string_view problem_of_lines(std::string_view head) {
  bool is_first = true;
  while (!head.empty()) {
    const auto end = head.find('\n');
    const auto line = head.substr(0, end);
    if (!line.ends_with('\r')) return "a line ends without CR";
    if (line.find('\r') + 1 != line.size() || line.find('\0') != std::string_view::npos) {
      return "a control character in the head";
    }
    if (line.starts_with(' ') || line.starts_with('\t')) return "a folded field";
    const auto colon = line.find(':');
    if (!is_first && line.size() > 1 && colon != std::string_view::npos && colon > 0 &&
        (line[colon - 1] == ' ' || line[colon - 1] == '\t')) {
      return "a blank before a colon";
    }
    is_first = false;
    head.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace

/// Calls of the parser go into the request.
class RequestParser::Beast final : public http::basic_parser<true> {
 public:
  explicit Beast(RequestParser& request) : request_(request) {
    header_limit(kHeadBytesMax);
    body_limit(UINT64_MAX);  // take() has the limit; none would be less than any length here
  }

  bool has_head = false;
  std::uint64_t chunk_bytes_left = 0;
  std::string_view problem;  // with the head; empty: none
  int status = 400;

 private:
  using Text = boost::beast::string_view;
  using Code = boost::beast::error_code;

  void reject(Code& code, std::string_view why, int with_status = 400) {
    problem = why;
    status = with_status;
    code = http::error::bad_value;
  }

  void on_request_impl(http::verb, Text method, Text target, int version, Code& code) override {
    auto& head = request_.head_;
    if (version != 10 && version != 11) {
      code = http::error::bad_version;
      return;
    }
    if (!target.starts_with('/')) return reject(code, "the path does not begin with /");
    is_1_0_ = version == 10;
    head.method = std::string(method.data(), method.size());
    const std::string_view whole(target.data(), target.size());
    const auto query = whole.find('?');
    head.path = whole.substr(0, query);
    if (query != std::string_view::npos) head.query = whole.substr(query + 1);
  }

  void on_field_impl(http::field, Text name, Text value, Code& code) override {
    if (has_head) return;  // behind the last chunk: nobody needs one
    auto& fields = request_.head_.fields;
    if (fields.size() == kFieldsMax) return reject(code, "more than 64 fields", 431);
    fields.push_back(
        {lower_case({name.data(), name.size()}), std::string(value.data(), value.size())});
    const auto& field = fields.back();
    const auto same = std::ranges::count(fields, field.name, &HttpRequestHead::Field::name);
    const bool is_length = field.name == "content-length";
    const bool is_encoding = field.name == "transfer-encoding";
    const bool is_single = is_length || is_encoding || field.name == "host" ||
                           field.name == "expect" || field.name == "authorization" ||
                           field.name == "content-encoding" || field.name == "content-type";
    if (is_single && same > 1)
      return reject(code, "a field that must be there once is there twice");
    if (is_length && !is_digits(field.value)) return reject(code, "Content-Length is no number");
    if (is_encoding && lower_case(field.value) != "chunked") {
      return reject(code, "a Transfer-Encoding other than chunked", 501);
    }
    if (is_encoding && is_1_0_) return reject(code, "Transfer-Encoding in HTTP/1.0");
    if (field.name == "expect" && lower_case(field.value) != "100-continue") {
      return reject(code, "an expectation other than 100-continue", 417);
    }
  }

  void on_header_impl(Code& code) override {
    auto& head = request_.head_;
    const auto has = [&](std::string_view name) {
      return std::ranges::find(head.fields, name, &HttpRequestHead::Field::name) !=
             head.fields.end();
    };
    if (!is_1_0_ && !has("host")) return reject(code, "no Host");
    if (has("content-length") && has("transfer-encoding")) {
      return reject(code, "Content-Length and Transfer-Encoding");
    }
    head.is_chunked = has("transfer-encoding");
    head.content_length = parse_number<std::uint64_t>(head.field("content-length")).value_or(0);
    head.expects_continue = has("expect") && !is_1_0_;
    head.keeps_alive = keep_alive();
    has_head = true;
  }

  std::size_t take(Text bytes, Code& code) {
    if (bytes.size() > request_.body_bytes_max_ - request_.body_.size()) {
      reject(code, "the body is too long", 413);
      return 0;
    }
    request_.body_.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  std::size_t on_body_impl(Text bytes, Code& code) override { return take(bytes, code); }
  std::size_t on_chunk_body_impl(std::uint64_t left, Text bytes, Code& code) override {
    const auto taken = take(bytes, code);
    chunk_bytes_left = left - taken;
    return taken;
  }

  void on_response_impl(int, Text, int, Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  void on_chunk_header_impl(std::uint64_t size, Text, Code&) override { chunk_bytes_left = size; }
  void on_finish_impl(Code&) override {}

  RequestParser& request_;
  bool is_1_0_ = false;
};

RequestParser::RequestParser() = default;
RequestParser::~RequestParser() = default;

RequestParser::State RequestParser::refuse(int status, std::string_view problem) {
  status_ = status;
  problem_ = problem;
  return state_ = State::bad;
}

RequestParser::State RequestParser::put(std::string& bytes) {
  if (state_ == State::head) return put_head(bytes);
  return state_ == State::body ? put_body(bytes) : state_;
}

RequestParser::State RequestParser::put_head(std::string& bytes) {
  // A client may send line ends between two requests (RFC 9112, section 2.2).
  while (bytes.starts_with("\r\n")) bytes.erase(0, 2);
  constexpr std::string_view kEnd = "\r\n\r\n";
  const auto end = bytes.find(kEnd, searched_);
  if (std::min(end, bytes.size()) > kHeadBytesMax) return refuse(431, "a head of more than 16 KiB");
  if (end == std::string::npos) {
    searched_ = bytes.size() - std::min(bytes.size(), kEnd.size() - 1);
    return state_;
  }
  const std::string_view head(bytes.data(), end + kEnd.size());
  if (const auto problem = problem_of_lines(head); !problem.empty()) return refuse(400, problem);
  beast_ = std::make_unique<Beast>(*this);
  boost::beast::error_code code;
  const auto used = beast_->put(boost::asio::const_buffer(head.data(), head.size()), code);
  if (code == http::error::bad_version) return refuse(505, "HTTP/1.0 and 1.1 are spoken here");
  if (code || !beast_->has_head || used != head.size()) {
    return refuse(beast_->status,
                  beast_->problem.empty() ? "this is no HTTP request" : beast_->problem);
  }
  bytes.erase(0, used);
  return state_ = State::body;
}

RequestParser::State RequestParser::put_body(std::string& bytes) {
  if (!head_.has_body()) return state_ = State::done;
  std::size_t used = 0;
  while (used < bytes.size() && !beast_->is_done()) {
    // The shortest that may stand between two chunks and at the end, "0" with two line ends. Beast
    // 1.74 asserts that it is whole when it looks at it for the second time.
    constexpr std::size_t kChunkHeaderBytesMin = 5;
    const bool is_header = head_.is_chunked && beast_->chunk_bytes_left == 0;
    if (is_header && bytes.size() - used < kChunkHeaderBytesMin) break;
    boost::beast::error_code code;
    const auto took =
        beast_->put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), code);
    used += took;
    if (code == http::error::need_more) break;
    if (code)
      return refuse(beast_->status, beast_->problem.empty() ? "a damaged body" : beast_->problem);
    if (took == 0) break;
  }
  bytes.erase(0, used);
  if (beast_->is_done()) return state_ = State::done;
  if (bytes.size() > kChunkHeaderBytesMax) return refuse(400, "a chunk's header is too long");
  return state_;
}

}  // namespace msp::listen
