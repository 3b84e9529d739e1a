#include "agent/import/alloy_components.h"

#include <map>
#include <optional>
#include <utility>

#include "agent/base/text.h"
#include "agent/import/notes.h"

namespace msp::import {
namespace {

using Kind = Setting::Kind;
using Syntax = AlloyExpression::Kind;

class Reader {
 public:
  explicit Reader(const std::vector<AlloySource>& sources) {
    for (const auto& [file, root] : sources) {
      file_ = file;
      for (const auto& block : root->blocks) find_file(block);
    }
  }

  AlloyComponent component(std::string_view file, const AlloyBlock& block) {
    file_ = file;
    const auto id = block.label.empty() ? block.name : cat(block.name, ".", block.label);
    return {id, block.name, body(block)};
  }

  AlloyComponent loose(std::string_view file, const AlloyAttribute& attribute) {
    file_ = file;
    return {attribute.name, "", value(attribute.value)};
  }

 private:
  void find_file(const AlloyBlock& block) {
    if (block.name != "local.file") return;
    for (const auto& attribute : block.attributes) {
      if (attribute.name != "filename") continue;
      auto path = value(attribute.value);
      if (path.is(Kind::text))
        files_.emplace(cat("local.file.", block.label, ".content"), path.text);
    }
  }

  Setting make(Kind kind, int line, std::string text = "") const {
    Setting setting;
    setting.kind = kind;
    setting.at = {file_, line};
    setting.text = std::move(text);
    return setting;
  }

  Setting body(const AlloyBlock& block) const {
    auto setting = make(Kind::mapping, block.line);
    for (const auto& attribute : block.attributes) {
      setting.entries.push_back({attribute.name, {file_, attribute.line}, value(attribute.value)});
    }
    for (const auto& inner : block.blocks) {
      setting.entries.push_back({inner.name, {file_, inner.line}, body(inner)});
    }
    return setting;
  }

  Setting value(const AlloyExpression& expression) const {
    const int line = expression.line;
    switch (expression.kind) {
      case Syntax::text:
        return make(Kind::text, line, escape_dollars(expression.text));
      case Syntax::word:
        if (expression.text == "null") return make(Kind::empty, line);
        return make(Kind::text, line, expression.text);
      case Syntax::list:
        return with_items(make(Kind::list, line), expression);
      case Syntax::object: {
        auto setting = make(Kind::mapping, line);
        for (std::size_t i = 0; i < expression.items.size(); ++i) {
          const auto& item = expression.items[i];
          setting.entries.push_back({expression.names[i], {file_, item.line}, value(item)});
        }
        return setting;
      }
      case Syntax::reference:
        return reference(expression);
      case Syntax::call:
        return call(expression);
      case Syntax::operation:
        return operation(expression);
      case Syntax::other:
        break;
    }
    return with_items(
        make(Kind::unknown, line, cat(expression.text, ", which only Alloy computes")), expression);
  }

  Setting with_items(Setting setting, const AlloyExpression& expression) const {
    for (const auto& item : expression.items) setting.items.push_back(value(item));
    return setting;
  }

  Setting reference(const AlloyExpression& expression) const {
    if (expression.text == "constants.hostname") return make(Kind::host_name, expression.line);
    const auto file = files_.find(expression.text);
    if (file != files_.end()) return make(Kind::file, expression.line, file->second);
    return make(Kind::reference, expression.line, expression.text);
  }

  Setting call(const AlloyExpression& expression) const {
    const auto& name = expression.text;
    const auto& arguments = expression.items;
    if ((name == "env" || name == "sys.env") && arguments.size() == 1 &&
        arguments.front().kind == Syntax::text) {
      auto text = variable(arguments.front().text);
      if (!text.empty()) return make(Kind::text, expression.line, std::move(text));
      return make(Kind::unknown, expression.line,
                  "an environment variable whose name is not letters, digits and '_'");
    }
    const bool passes_on = name == "nonsensitive" || name == "convert.nonsensitive" ||
                           name == "trim_space" || name == "string.trim_space";
    if (passes_on && arguments.size() == 1) {
      auto argument = value(arguments.front());
      if (argument.is(Kind::text) || argument.is(Kind::file) || argument.is(Kind::host_name)) {
        return argument;
      }
    }
    if (name == "concat" || name == "array.concat") return concat(expression);
    if (name == "coalesce" && arguments.size() == 2) {
      if (auto text = with_default(value(arguments[0]), value(arguments[1]))) {
        return make(Kind::text, expression.line, std::move(*text));
      }
    }
    return with_items(make(Kind::unknown, expression.line,
                           cat(one_line(name), "(..), which only Alloy computes")),
                      expression);
  }

  /// One list of the lists that are known, and of whatever else is in between.
  Setting concat(const AlloyExpression& expression) const {
    auto joined = make(Kind::list, expression.line);
    for (const auto& argument : expression.items) {
      auto part = value(argument);
      if (part.is(Kind::list)) {
        for (auto& item : part.items) joined.items.push_back(std::move(item));
      } else {
        joined.items.push_back(std::move(part));
      }
    }
    return joined;
  }

  /// coalesce(env("X"), "default"): ours is ${X:-default}.
  static std::optional<std::string> with_default(const Setting& first, const Setting& second) {
    const bool is_one_variable = first.is(Kind::text) && first.text.starts_with("${") &&
                                 first.text.find('}') == first.text.size() - 1 &&
                                 first.text.find(":-") == std::string::npos;
    const bool is_plain =
        second.is(Kind::text) && second.text.find_first_of("${}") == std::string::npos;
    if (!is_one_variable || !is_plain) return std::nullopt;
    return cat(first.text.substr(0, first.text.size() - 1), ":-", second.text, "}");
  }

  Setting operation(const AlloyExpression& expression) const {
    std::string text;
    bool is_text = expression.text.find_first_not_of('+') == std::string::npos;
    for (const auto& item : expression.items) {
      const auto operand = is_text ? value(item) : Setting{};
      const bool is_host_name = operand.is(Kind::host_name);
      is_text = is_text && (operand.is(Kind::text) || is_host_name) && item.kind != Syntax::word;
      text += is_host_name ? std::string(kHostNameVariable) : operand.text;
    }
    if (is_text) return make(Kind::text, expression.line, std::move(text));
    return with_items(
        make(Kind::unknown, expression.line, "an expression, which only Alloy computes"),
        expression);
  }

  std::string_view file_;
  std::map<std::string, std::string> files_;
};

}  // namespace

std::vector<AlloyComponent> alloy_components(const std::vector<AlloySource>& sources) {
  Reader reader(sources);
  std::vector<AlloyComponent> components;
  for (const auto& [file, root] : sources) {
    for (const auto& attribute : root->attributes) {
      components.push_back(reader.loose(file, attribute));
    }
    for (const auto& block : root->blocks) components.push_back(reader.component(file, block));
  }
  return components;
}

}  // namespace msp::import
