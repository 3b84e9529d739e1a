#include "collectors/named_fields.h"

#include "agent/base/text.h"

namespace msp::collectors {

const MetricDesc* FieldTable::find(std::string_view group, std::string_view field) const {
  char name[64];
  if (group.size() + 1 + field.size() > sizeof name) return nullptr;
  auto* end = std::ranges::copy(group, name).out;
  if (!group.empty()) *end++ = '_';
  end = std::ranges::copy(field, end).out;
  const std::string_view wanted(name, static_cast<std::size_t>(end - name));
  const auto rest_of = [this](const MetricDesc& metric) {
    return metric.name.substr(prefix.size());
  };
  const auto found = std::ranges::lower_bound(metrics, wanted, {}, rest_of);
  return found != metrics.end() && rest_of(*found) == wanted ? &*found : nullptr;
}

const MetricDesc* KnownFields::at(std::size_t place, const FieldTable& table,
                                  std::string_view group, std::string_view field) {
  constexpr std::size_t kPlacesMax = 1024;
  if (place >= kPlacesMax) return table.find(group, field);
  if (place >= fields_.size()) fields_.resize(place + 1);
  auto& known = fields_[place];
  const bool is_it = known.name.size() == group.size() + field.size() &&
                     known.name.starts_with(group) && known.name.ends_with(field);
  if (!is_it) known = {cat(group, field), table.find(group, field)};
  return known.metric;
}

std::optional<std::uint64_t> NamedFields::add(std::string_view path, std::string_view group,
                                              std::string_view field, std::string_view word,
                                              SeriesWriter::LabelValues labels, double unit) {
  const auto* const metric = table_.find(group, field);
  if (metric == nullptr) return std::nullopt;
  return add(path, *metric, word, labels, unit);
}

std::optional<std::uint64_t> NamedFields::add(std::string_view path, const MetricDesc& metric,
                                              std::string_view word,
                                              SeriesWriter::LabelValues labels, double unit) {
  const auto index = static_cast<std::size_t>(&metric - table_.metrics.data());
  if (found_[index]) {
    out_.complaints().repeated(path, metric.name.substr(table_.prefix.size()));
    return std::nullopt;
  }
  found_.set(index);
  const auto number = parse_number<std::uint64_t>(word);
  if (number) {
    out_.add(metric, labels, static_cast<double>(*number) * unit);
  } else {
    out_.complaints().garbled(path, word, "a count", {metric.name, labels});
  }
  return number;
}

}  // namespace msp::collectors
