#include "collectors/docker_names.h"

#include <algorithm>
#include <cstdint>

#include "agent/base/text.h"
#include "collectors/unix_client.h"

namespace msp::collectors {
namespace {

constexpr std::size_t kAnswerBytesMax = 4 << 20;  // 2,500 containers and more
constexpr std::size_t kChunkBytes = 32 << 10;

/// [{"Id":"0a..","Names":["/web"],"Image":"nginx:1","Labels":{"com.docker.compose.project":"shop"}}]
/// among much else. The id comes first, as Docker and Podman write it.
class DockerNames {
 public:
  DockerNames(std::string_view json, NamesById& names) : rest_(json), names_(names) {}

  bool read();

 private:
  bool read_text();
  void keep(unsigned depth);

  std::string_view rest_;
  NamesById& names_;
  std::string text_;                   // the last one
  std::string key_;                    // of a container: "Names"
  std::string label_;                  // of a container: "maintainer"
  ContainerLabels* labels_ = nullptr;  // of the container that is read; null: it has no id yet
};

/// What it is between texts, numbers and such, is passed over: it says how deep a text is.
bool DockerNames::read() {
  constexpr unsigned kContainer = 2;  // a list of objects
  unsigned depth = 0;
  rest_ = trim(rest_);
  if (!rest_.starts_with('[')) return false;
  while (!rest_.empty()) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '[' || c == '{') {
      if (++depth == kContainer) labels_ = nullptr;
    } else if (c == ']' || c == '}') {
      if (--depth == 0) return rest_.empty();
    } else if (c == '"') {
      if (!read_text()) return false;
      rest_ = trim(rest_);
      if (!rest_.starts_with(':')) {
        keep(depth);
      } else if (depth == kContainer) {
        key_ = text_;
        label_.clear();
      } else if (depth == kContainer + 1) {
        label_ = text_;
      }
    }
  }
  return false;
}

/// Behind its first quotation mark.
bool DockerNames::read_text() {
  text_.clear();
  for (;;) {
    const auto end = std::min(rest_.find_first_of("\"\\"), rest_.size());
    text_ += rest_.substr(0, end);
    const bool is_over = rest_.substr(end, 1) == "\"";
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (is_over) return true;
    if (rest_.empty()) return false;
    const char letter = rest_.front();
    rest_.remove_prefix(1);
    // Go writes '<', '>' and '&' as codes. What else is not itself is in no name: it becomes U+FFFD.
    constexpr std::size_t kDigits = 4;
    auto code = static_cast<unsigned>(letter);
    if (letter == 'u' && rest_.size() >= kDigits) {
      code = parse_number<unsigned>(rest_.substr(0, kDigits), 16).value_or(0xff);
      rest_.remove_prefix(kDigits);
    } else if (letter >= 'a') {
      code = 0xff;
    }
    text_ += static_cast<char>(std::min(code, 0xffU));
  }
}

/// A text that is a value, so deep.
void DockerNames::keep(unsigned depth) {
  make_utf8(text_);
  if (depth == 2 && key_ == "Id") labels_ = &names_[text_];
  if (labels_ == nullptr) return;
  if (depth == 2 && key_ == "Image") labels_->image = text_;
  if (depth != 3) return;
  // "/db/alias" is what another container that is linked to it calls it.
  if (key_ == "Names" && text_.rfind('/') == 0) labels_->name.assign(text_, 1);
  if (key_ != "Labels") return;
  if (label_ == "com.docker.compose.project") labels_->compose_project = text_;
  if (label_ == "com.docker.compose.service") labels_->compose_service = text_;
}

/// The whole answer, which ends with the connection, into `in`.
Result<void> get(UnixClient& client, std::string& in) {
  auto done = client.connect();
  // Those that do not run yet or any more, too: one that starts has a control group before Docker says
  // that it runs. An answer of HTTP/1.0 is in no chunks.
  if (done) done = client.send("GET /containers/json?all=1 HTTP/1.0\r\nHost: docker\r\n\r\n");
  while (done) {
    const auto more = client.receive(in, kChunkBytes);
    if (!more) return more.error();
    if (!*more) break;
    if (in.size() > kAnswerBytesMax) return client.error("an answer of more than 4 MiB");
  }
  return done;
}

}  // namespace

bool parse_docker_names(std::string_view json, NamesById& names) {
  return DockerNames(json, names).read();
}

void ask_docker(DockerAnswer& answer, std::chrono::milliseconds timeout) {
  UnixClient client(answer.socket, timeout);
  std::string in;
  if (auto got = get(client, in); !got) {
    answer.error = got.error();
    return;
  }
  const std::string_view text = in;
  const auto status = text.substr(0, text.find("\r\n"));
  const auto head = std::min(text.find("\r\n\r\n"), text.size());
  // What is refused has an object, or a page, in the place of the list.
  if (!parse_docker_names(text.substr(head), answer.names)) {
    answer.error = client.error(
        cat("answers ", quoted(status, kQuotedBytesMax), " and no list of containers"));
  }
}

}  // namespace msp::collectors
