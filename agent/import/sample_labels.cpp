#include "agent/import/sample_labels.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/import/relabel_rule.h"
#include "agent/metrics/labels.h"

namespace msp::import {
namespace {

// Of node_exporter 1.12, all of its collectors.
// clang-format off
constexpr std::string_view kLabelsOfMetrics[] = {
    "address", "alias", "bank", "bios_date", "bios_release", "bios_vendor", "bios_version", "board_asset_tag",
    "board_name", "board_serial", "board_vendor", "board_version", "branch", "broadcast", "bug", "build_id",
    "cachesize", "channel", "chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version", "chip",
    "chip_name", "clocksource", "code", "collector", "controller", "core", "cpu", "csrow", "device", "device_error",
    "dimm", "domainname", "duplex", "endpoint", "export", "family", "file", "firmware_revision", "firmware_version",
    "flag", "flags", "frequency", "fstype", "goarch", "goos", "goversion", "governor", "handler", "id", "id_like",
    "ifalias", "image_id", "image_version", "index", "interface", "label", "level", "local_address", "local_mark",
    "local_port", "lv_layer", "lv_name", "machine", "major", "method", "microcode", "minor", "mode", "model",
    "model_name", "mount_point", "mountaddr", "mountpoint", "name", "node", "nodename", "op", "operation",
    "operstate", "package", "path", "policy", "pool", "port", "pretty_name", "product_family", "product_name",
    "product_serial", "product_sku", "product_uuid", "product_version", "proto", "protocol", "quantile", "queue",
    "reason", "release", "remote_address", "remote_port", "revision", "rotational", "sensor", "serial",
    "serial_number", "service", "socket", "source", "state", "status", "stepping", "sysname", "system_vendor", "tags",
    "time_zone", "transport", "type", "usage", "user", "uuid", "value", "variant", "variant_id", "vendor", "version",
    "version_codename", "version_id", "vg_name", "wwn", "zone", "zpool"};
// clang-format on

}  // namespace

std::span<const std::string_view> labels_of_metrics() {
  return kLabelsOfMetrics;
}

bool is_label_of_metrics(std::string_view name) {
  return std::find(std::begin(kLabelsOfMetrics), std::end(kLabelsOfMetrics), name) !=
         std::end(kLabelsOfMetrics);
}

KnownValue SampleLabels::value_of(std::string_view name) const {
  using Kind = KnownValue::Kind;
  if (const auto* const label = find(name)) {
    if (!label->is_known()) return {Kind::unknown};
    if (label->value == ImportedLabel::Value::host_name) return {Kind::not_empty};
    const auto plain = without_variables(label->text);
    return plain ? KnownValue{Kind::exact, *plain} : KnownValue{Kind::not_empty};
  }
  if (stage_ == Stage::target) {
    const bool is_set_by_agent = is_one_of(name, {"__address__", "__scheme__", "__metrics_path__",
                                                  "__scrape_interval__", "__scrape_timeout__"});
    return is_set_by_agent ? KnownValue{Kind::not_empty} : KnownValue{Kind::exact};
  }
  if (name == metrics::kMetricName) return {Kind::not_empty};
  if (is_label_of_metrics(name)) return {Kind::unknown};
  return {Kind::exact};
}

void SampleLabels::set(ImportedLabel label) {
  const auto found = std::find_if(labels_.begin(), labels_.end(), [&](const ImportedLabel& other) {
    return other.name == label.name;
  });
  if (found == labels_.end()) {
    labels_.push_back(std::move(label));
  } else {
    *found = std::move(label);
  }
}

void SampleLabels::erase(std::string_view name) {
  std::erase_if(labels_, [&](const ImportedLabel& label) { return label.name == name; });
}

void SampleLabels::end_of_host() {
  for (auto& label : labels_) label.is_of_host = true;
}

void SampleLabels::scrape(bool honors_labels) {
  stage_ = Stage::sample;
  if (const auto* const address = find("__address__");
      address != nullptr && find("instance") == nullptr) {
    auto instance = *address;
    instance.name = "instance";
    if (instance.is_known()) instance.value = ImportedLabel::Value::address;
    set(std::move(instance));
  }
  std::erase_if(labels_, [](const ImportedLabel& label) { return label.name.starts_with("__"); });
  for (auto& label : labels_) {
    label.own =
        honors_labels ? ImportedLabel::OwnLabel::stays : ImportedLabel::OwnLabel::is_renamed;
  }
}

}  // namespace msp::import
