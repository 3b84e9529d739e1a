#include "agent/metrics/exposition.h"

#include <charconv>
#include <cmath>
#include <map>

namespace msp {
namespace {

std::string escape(std::string_view text, bool quotes) {
  const std::string_view special = quotes ? "\\\n\"" : "\\\n";
  std::string escaped;
  for (auto at = text.find_first_of(special); at != std::string_view::npos;
       at = text.find_first_of(special)) {
    escaped.append(text.substr(0, at)).append(1, '\\').append(1, text[at] == '\n' ? 'n' : text[at]);
    text.remove_prefix(at + 1);
  }
  return escaped.append(text);
}

}  // namespace

std::string escape_label_value(std::string_view text) {
  return escape(text, true);
}

std::string text_value(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

std::string series_text(const Series& series) {
  std::string text(series.labels.get(kMetricName));
  char separator = '{';
  for (const auto label : series.labels) {
    if (label.name == kMetricName) continue;
    text += separator;
    text.append(label.name).append("=\"").append(escape_label_value(label.value)).append("\"");
    separator = ',';
  }
  if (separator == ',') text += '}';
  return text;
}

std::string text_format(const Scrape& scrape) {
  std::map<std::string_view, std::string> families;
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    const auto& series = *(*scrape.series)[i];
    const auto* const family = series.family;
    auto& text = families[family != nullptr ? family->name : series.labels.get(kMetricName)];
    if (text.empty() && family != nullptr) {
      text.append("# HELP ").append(family->name).append(" ");
      text.append(escape(family->help, false)).append("\n# TYPE ").append(family->name);
      text += family->type == MetricType::counter ? " counter\n" : " gauge\n";
    }
    text.append(series_text(series)).append(" ").append(text_value(scrape.values[i])).append("\n");
  }
  std::string all;
  for (const auto& [name, text] : families) all += text;
  return all;
}

}  // namespace msp
