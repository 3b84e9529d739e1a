#include "agent/config/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <map>
#include <new>
#include <optional>
#include <sstream>
#include <utility>

#include "agent/base/text.h"

namespace msp::config {
namespace {

/// Line starts of a text, to turn yaml-cpp's byte columns into an editor's. A position costs the
/// same in a line of a million bytes.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text), starts_{0} {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i % kStride == 0) characters_before_.push_back(characters);
      if (!is_continuation(text[i])) ++characters;
      if (text[i] == '\n') starts_.push_back(i + 1);
    }
    if (text.size() % kStride == 0) characters_before_.push_back(characters);
  }

  Position position(const YAML::Mark& mark) const {
    if (mark.is_null() || mark.line < 0) return {};
    const auto line = std::min(static_cast<std::size_t>(mark.line), starts_.size() - 1);
    const auto start = starts_[line];
    const auto end = start + std::min(static_cast<std::size_t>(mark.column), text_.size() - start);
    const auto characters = characters_before(end) - characters_before(start);
    return {static_cast<int>(line) + 1, static_cast<int>(characters) + 1};
  }

  /// The tab in the indentation of the line at `at`, if there is one.
  std::optional<Position> indenting_tab(Position at) const {
    if (at.line < 1) return std::nullopt;
    const auto line = text_.substr(starts_[static_cast<std::size_t>(at.line) - 1]);
    const auto tab = line.find_first_not_of(' ');
    if (tab == std::string_view::npos || line[tab] != '\t') return std::nullopt;
    return Position{at.line, static_cast<int>(tab) + 1};
  }

 private:
  static constexpr std::size_t kStride = 64;

  static bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

  std::size_t characters_before(std::size_t byte) const {
    const auto known = byte / kStride;
    const auto rest = text_.substr(known * kStride, byte % kStride);
    return characters_before_[known] + rest.size() -
           static_cast<std::size_t>(std::count_if(rest.begin(), rest.end(), is_continuation));
  }

  std::string_view text_;
  std::vector<std::size_t> starts_;
  std::vector<std::size_t> characters_before_;  // every kStride bytes
};

/// Builds the tree from yaml-cpp's events. Stops the parser in the one way it has: by throwing.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(const Lines& lines) : lines_(lines) {}

  NodePtr root() const { return root_; }
  Position last_scalar() const { return last_scalar_; }
  /// Where the innermost mapping or list begins that has no end yet.
  Position open() const { return levels_.empty() ? Position{} : levels_.back().node->at; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    throw YAML::ParserException(
        mark,
        "the file goes on after its first document; accepted: one document, that is one "
        "mapping and no '---' behind it");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(make(Node::Kind::empty, mark), anchor, mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = make(Node::Kind::scalar, mark);
    node->text = value;
    last_scalar_ = node->at;
    finish(std::move(node), anchor, mark);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw YAML::ParserException(mark, "an alias inside the value that it stands for");
    }
    add(found->second, mark);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::mapping, mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    NodePtr key;  // waits for its value
  };

  std::shared_ptr<Node> make(Node::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > Document::kNodesMax) {
      throw YAML::ParserException(
          mark, cat("more than ", Document::kNodesMax, " keys and values; accepted: that many"));
    }
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->at = lines_.position(mark);
    return node;
  }

  void open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    check_depth(levels_.size() + 1, mark);
    levels_.push_back({make(kind, mark), anchor, mark, nullptr});
  }

  void close() {
    auto level = std::move(levels_.back());
    levels_.pop_back();
    finish(std::move(level.node), level.anchor, level.mark);
  }

  void finish(std::shared_ptr<Node> node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    add(std::move(node), mark);
  }

  void add(NodePtr node, const YAML::Mark& mark) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& level = levels_.back();
    // An alias brings levels of its own; without this limit a chain of them nests without end.
    level.node->height = std::max(level.node->height, node->height + 1);
    check_depth(levels_.size() - 1 + level.node->height, mark);
    if (level.node->kind == Node::Kind::list) {
      level.node->items.push_back(std::move(node));
    } else if (level.key == nullptr) {
      if (node->kind == Node::Kind::list || node->kind == Node::Kind::mapping) {
        throw YAML::ParserException(mark, "a list or mapping as a key; accepted: a word");
      }
      level.key = std::move(node);
    } else {
      const auto key = std::exchange(level.key, nullptr);
      level.node->entries.push_back({key->text, key->at, std::move(node)});
    }
  }

  static void check_depth(std::size_t depth, const YAML::Mark& mark) {
    if (depth <= Document::kDepthMax) return;
    throw YAML::ParserException(
        mark, cat("nested too deep; accepted: at most ", Document::kDepthMax, " levels"));
  }

  const Lines& lines_;
  int documents_ = 0;
  std::size_t nodes_ = 0;
  NodePtr root_;
  Position last_scalar_;
  std::vector<Level> levels_;
  std::map<YAML::anchor_t, NodePtr> anchors_;
};

/// yaml-cpp's words, said for someone who edits a file once a year.
std::string in_plain_words(const std::string& message) {
  struct Words {
    std::string_view yaml_cpp;
    std::string_view plain;
  };
  const Words kWords[] = {
      {YAML::ErrorMsg::TAB_IN_INDENTATION, "a tab in the indentation: use spaces"},
      {YAML::ErrorMsg::MAP_VALUE,
       "a ':' where no key can stand: check the indentation of this line and the one before it, "
       "and put quotes around a value that holds ': '"},
      {YAML::ErrorMsg::END_OF_MAP,
       "neither a key of this mapping nor its end: check the indentation; a key is followed by "
       "': '"},
      {YAML::ErrorMsg::END_OF_SEQ,
       "neither an item of this list nor its end: check the indentation; an item begins with "
       "'- '"},
      {YAML::ErrorMsg::END_OF_MAP_FLOW, "this '{' is not closed"},
      {YAML::ErrorMsg::END_OF_SEQ_FLOW, "this '[' is not closed"},
      {YAML::ErrorMsg::FLOW_END, "a ']' or '}' that closes nothing"},
      {YAML::ErrorMsg::DOC_IN_SCALAR, "this quote is not closed"},
      {YAML::ErrorMsg::BLOCK_ENTRY, "a '- ' where no list can stand: check the indentation"},
      {YAML::ErrorMsg::MAP_KEY, "a '?' where no key can stand"},
      {YAML::ErrorMsg::UNKNOWN_TOKEN,
       "a character that cannot begin a value: put quotes around the value"},
      {YAML::ErrorMsg::UNKNOWN_ANCHOR,
       "'*' begins an alias, and no '&' defines it: put quotes "
       "around a value that begins with '*'"},
  };
  for (const auto& words : kWords) {
    if (message == words.yaml_cpp) return std::string(words.plain);
  }
  // The only message that repeats a part of the file, which could be a part of a secret.
  if (message.starts_with(YAML::ErrorMsg::INVALID_ESCAPE)) {
    return "an unknown escape after '\\': put single quotes around the value, or write '\\\\'";
  }
  return message;
}

/// The first byte that no text file holds, if there is one.
Document check_characters(std::string_view text) {
  int line = 0;
  for (auto rest = text; auto content = next_line(rest);) {
    ++line;
    // yaml-cpp takes the byte 4 for the end of the file, and would not say so.
    const auto is_control = [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return (byte < 0x20 && c != '\t' && c != '\r') || byte == 0x7f;
    };
    const bool has_control = std::any_of(content->begin(), content->end(), is_control);
    if (!has_control && is_utf8(*content)) continue;
    for (int column = 1; !content->empty(); ++column) {
      if (is_control(content->front())) {
        return {nullptr, {line, column}, "a control character; accepted: text in UTF-8"};
      }
      std::size_t length = 1;
      while (length <= 4 && !is_utf8(content->substr(0, length))) ++length;
      if (length > 4 || length > content->size()) {
        return {nullptr, {line, column}, "a byte that is not UTF-8; accepted: text in UTF-8"};
      }
      content->remove_prefix(length);
    }
  }
  return {};
}

// The end of a document. yaml-cpp lets the end of a file close an open quote, but not this.
constexpr std::string_view kEnd = "\n...\n";

void parse(const std::string& text, Builder& builder) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  while (parser.HandleNextDocument(builder)) {
  }
}

/// Where to look for what yaml-cpp stumbled over.
Position place(const YAML::Exception& exception, const Lines& lines, const Builder& builder,
               std::string_view text) {
  if (exception.msg == YAML::ErrorMsg::END_OF_MAP_FLOW ||
      exception.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW) {
    return builder.open();
  }
  if (exception.msg != YAML::ErrorMsg::DOC_IN_SCALAR) return lines.position(exception.mark);
  // Read without the end, the open quote is the last scalar.
  Builder again(lines);
  try {
    parse(std::string(text), again);
  } catch (const YAML::Exception&) {
    return again.last_scalar();  // what else is wrong comes behind the quote
  }
  return again.last_scalar();
}

}  // namespace

Document parse_document(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (auto refused = check_characters(text); !refused.error.empty()) return refused;

  const Lines lines(text);
  Builder builder(lines);
  try {
    parse(cat(text, kEnd), builder);
  } catch (const YAML::Exception& exception) {
    const auto at = place(exception, lines, builder, text);
    if (const auto tab = lines.indenting_tab(at)) {
      return {nullptr, *tab, cat("not YAML: ", in_plain_words(YAML::ErrorMsg::TAB_IN_INDENTATION))};
    }
    return {nullptr, at, cat("not YAML: ", in_plain_words(exception.msg))};
  } catch (const std::bad_alloc&) {
    throw;  // no fault of the file's: it ends the process with 1, and not with 78, after which no start follows
  } catch (const std::exception& exception) {
    return {nullptr, {}, cat("not YAML: ", exception.what())};
  }
  auto root = builder.root();
  return {root != nullptr ? std::move(root) : std::make_shared<const Node>(), {}, ""};
}

}  // namespace msp::config
