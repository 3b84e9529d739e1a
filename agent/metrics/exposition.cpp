#include "agent/metrics/exposition.h"

#include <cmath>
#include <map>

#include "agent/base/text.h"

namespace msp::metrics {
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
  return number_text(value);
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

namespace {

/// The name under which a series' samples stand together: that of its metric, which a series of a
/// histogram or a summary has with a suffix. What relabelling has renamed is a metric of its own.
std::string_view group_of(const Series& series) {
  const auto name = series.labels.get(kMetricName);
  if (!series.desc) return name;
  const auto& desc = *series.desc;
  const bool has_suffixes = desc.type == MetricType::histogram || desc.type == MetricType::summary;
  return has_suffixes && name.starts_with(desc.name) ? desc.name : name;
}

std::string head_of(const Series& series, std::string_view group) {
  if (!series.desc) return {};
  const bool is_renamed = !group.starts_with(series.desc->name);
  const auto type = is_renamed ? MetricType::untyped : series.desc->type;
  return cat("# HELP ", group, " ", escape(series.desc->help, false), "\n# TYPE ", group, " ",
             metric_type_name(type), "\n");
}

}  // namespace

std::string text_format(std::span<const Scrape> scrapes) {
  std::map<std::string_view, std::string> groups;
  for (const auto& scrape : scrapes) {
    for (std::size_t i = 0; i < scrape.values.size(); ++i) {
      const auto& series = *(*scrape.series)[i];
      const auto group = group_of(series);
      auto& text = groups[group];
      if (text.empty()) text = head_of(series, group);
      text.append(series_text(series))
          .append(" ")
          .append(text_value(scrape.values[i]))
          .append("\n");
    }
  }
  std::string all;
  for (const auto& [name, text] : groups) all += text;
  return all;
}

}  // namespace msp::metrics
