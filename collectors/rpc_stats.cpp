#include "collectors/rpc_stats.h"

#include <bitset>
#include <cstddef>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"

namespace msp::collectors {
namespace {

std::optional<double> number(std::string_view path, std::string_view word, std::string_view name,
                             std::string_view of, SeriesWriter& out) {
  const auto value = parse_number<std::uint64_t>(word);
  if (value) return static_cast<double>(*value);
  out.complaints().garbled(path, word, "a count", {name, {of}});
  return std::nullopt;
}

void add_columns(std::string_view path, std::string_view rest, const RpcLine& line,
                 SeriesWriter& out) {
  for (const auto& [metric, label, second] : line.columns) {
    const auto word = next_word(rest);
    if (metric == nullptr) continue;
    const auto value = number(path, word, metric->name, label, out);
    if (!value) continue;
    if (label.empty()) {
      out.add(*metric, *value);
    } else if (second.empty()) {
      out.add(*metric, {label}, *value);
    } else {
      out.add(*metric, {label, second}, *value);
    }
  }
}

void add_procedures(std::string_view path, std::string_view rest, const RpcProcedures& procedures,
                    const MetricDesc& requests, SeriesWriter& out) {
  const auto whole = rest;
  const auto count = parse_number<std::size_t>(next_word(rest));
  if (!count || *count != words_in(rest)) {
    out.complaints().garbled(path, trim(whole), "a number and as many counts",
                             {requests.name, {"protocol ", procedures.version}});
    return;
  }
  auto methods = procedures.methods;
  for (auto method = next_word(methods); !method.empty(); method = next_word(methods)) {
    const auto word = next_word(rest);
    if (word.empty()) return;
    if (method == "-") continue;
    const auto value = number(path, word, requests.name, method, out);
    if (value) out.add(requests, {procedures.version, method}, *value);
  }
}

}  // namespace

Result<void> add_rpc_stats(std::string_view path, std::string_view content, const RpcTable& table,
                           SeriesWriter& out) {
  std::bitset<32> seen;
  const auto is_first = [&](std::size_t index, std::string_view name) {
    if (seen[index]) out.complaints().repeated(path, name);
    const bool is_new = !seen[index];
    seen.set(index);
    return is_new;
  };
  for (auto rest = content; auto line = next_line(rest);) {
    const auto name = next_word(*line);
    for (std::size_t i = 0; i < table.lines.size(); ++i) {
      if (table.lines[i].name != name || !is_first(i, name)) continue;
      add_columns(path, *line, table.lines[i], out);
    }
    for (std::size_t i = 0; i < table.procedures.size(); ++i) {
      if (table.procedures[i].line != name || !is_first(table.lines.size() + i, name)) continue;
      add_procedures(path, *line, table.procedures[i], table.requests, out);
    }
  }
  if (seen.none()) return failed(cat(path, ": none of its lines is there", got(content)));
  return {};
}

}  // namespace msp::collectors
