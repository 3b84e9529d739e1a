#include "collectors/container_names.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "agent/base/text.h"
#include "agent/metrics/exposition_parser.h"

namespace msp::collectors {
namespace {

/// The value of an option of conmon's, "-n name" or "--name name"; empty where it has none.
std::string_view option(std::string_view arguments, std::string_view brief, std::string_view full) {
  while (!arguments.empty()) {
    const auto end = std::min(arguments.find('\0'), arguments.size());
    const auto argument = arguments.substr(0, end);
    arguments.remove_prefix(std::min(end + 1, arguments.size()));
    if (argument == brief || argument == full) return arguments.substr(0, arguments.find('\0'));
  }
  return {};
}

std::string conmon_name(std::string_view arguments, std::string_view id) {
  const auto program = arguments.substr(0, arguments.find('\0'));
  if (program != "conmon" && !program.ends_with("/conmon")) return {};
  if (option(arguments, "-c", "--cid") != id) return {};
  std::string name(option(arguments, "-n", "--name"));
  return is_printable(name) ? name : std::string{};
}

/// Whether it is "NAMESPACE_POD_UID" or "POD_NAMESPACE_CONTAINER": three parts, none of them empty,
/// for the names of Kubernetes have no '_'.
bool split(std::string_view text, std::string_view (&parts)[3]) {
  for (std::size_t i = 0; i < 3; ++i) {
    const auto end = i == 2 ? text.size() : text.find('_');
    if (end == text.npos || end == 0) return false;
    parts[i] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts[2].find('_') == std::string_view::npos;
}

}  // namespace

bool ContainerNames::look(SeriesWriter& out) {
  // Before anything else, for an error is a text that is made.
  struct stat status {};
  if (::stat(file_.path().c_str(), &status) != 0) return !std::exchange(named_, {}).empty();
  const auto changed = file_.look();
  if (!changed) out.complaints().unreadable(file_.path(), changed.error(), {"a name"});
  if (!changed || !*changed) return false;
  named_.clear();
  metrics::ExpositionParser parser(file_.content());
  while (const auto sample = parser.next()) {
    if (!sample->series.starts_with("msp_agent_container_info{")) continue;
    auto series = parser.series();
    if (!series) continue;
    std::string id;
    ContainerLabels labels;
    for (auto& [name, value] : series->labels) {
      if (name == "id") id.swap(value);
      if (name == "name") labels.name.swap(value);
      if (name == "image") labels.image.swap(value);
      if (name == "compose_project") labels.compose_project.swap(value);
      if (name == "compose_service") labels.compose_service.swap(value);
    }
    named_.try_emplace(std::move(id), std::move(labels));
  }
  return true;
}

void ContainerNames::list_logs(bool has_pods) {
  logs_.clear();
  if (!has_pods) return;
  std::vector<std::string> names;
  std::string_view parts[3];
  if (const SysFolder folder(logs_folder_); folder) folder.list(names);
  for (std::string_view name : names) {
    constexpr std::size_t kIdDigits = 64;
    constexpr std::string_view kEnd = ".log";
    if (!name.ends_with(kEnd) || name.size() < kIdDigits + kEnd.size() + 1) continue;
    name.remove_suffix(kEnd.size());
    const auto id = name.substr(name.size() - kIdDigits);
    if (!split(name.substr(0, name.size() - kIdDigits - 1), parts)) continue;
    auto& labels = logs_[std::string(id)];
    labels.pod = parts[0];
    labels.pod_namespace = parts[1];
    labels.container = parts[2];
  }
  names.clear();
  if (const SysFolder folder(pods_folder_); folder) folder.list(names);
  for (const auto& name : names) {
    if (!split(name, parts)) continue;
    auto& labels = logs_[std::string(parts[2])];
    labels.pod_namespace = parts[0];
    labels.pod = parts[1];
  }
}

ContainerLabels ContainerNames::labels_of(const Container& container,
                                          std::string_view monitor) const {
  ContainerLabels labels;
  if (container.engine_id.empty()) {
    labels.name = container.path_name;
    return labels;
  }
  for (const auto* names : {answer_ ? &answer_->names : &named_, &named_}) {
    const auto found = names->find(container.engine_id);
    if (found != names->end()) labels = found->second;
  }
  if (labels.name.empty()) labels.name = conmon_name(monitor, container.engine_id);
  if (container.pod_uid.empty()) return labels;
  auto found = logs_.find(container.engine_id);
  if (found == logs_.end()) found = logs_.find(container.pod_uid);
  if (found == logs_.end()) return labels;
  labels.pod = found->second.pod;
  labels.pod_namespace = found->second.pod_namespace;
  labels.container = found->second.container;
  for (auto* text : {&labels.pod, &labels.pod_namespace, &labels.container}) make_utf8(*text);
  return labels;
}

}  // namespace msp::collectors
