#include "agent/cli/cloud.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/config/document.h"

namespace msp::cli {
namespace {

constexpr std::size_t kInstanceDataBytesMax = 1 << 20;
constexpr std::size_t kDmiBytesMax = 4096;

// A part of what a DMI file holds, and whose it is.
struct Mark {
  const char* file;
  std::string_view text;
  const char* provider;
};
constexpr Mark kMarks[] = {
    {"sys_vendor", "Amazon EC2", "aws"},
    {"bios_version", "amazon", "aws"},  // Xen instances: "4.11.amazon"
    {"product_name", "Google Compute Engine", "gcp"},
    // Every Azure machine has this tag; Hyper-V at home has another.
    {"chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "azure"},
    {"chassis_asset_tag", "OracleCloud.com", "oci"},
    {"product_name", "Alibaba Cloud", "alibaba"},
    {"sys_vendor", "Tencent Cloud", "tencent"},
    {"sys_vendor", "Hetzner", "hetzner"},
    {"sys_vendor", "DigitalOcean", "digitalocean"},
    {"sys_vendor", "Vultr", "vultr"},
    {"product_name", "OpenStack", "openstack"},
};

/// "v1" of cloud-init's instance data, a JSON file that begins like
/// {"v1": {"cloud_name": "aws", "region": "ap-northeast-2", ..
const config::Node* entry(const config::Node* mapping, std::string_view key) {
  if (mapping == nullptr) return nullptr;
  const auto found =
      std::find_if(mapping->entries.begin(), mapping->entries.end(),
                   [&](const config::Node::Entry& entry) { return entry.key == key; });
  return found == mapping->entries.end() ? nullptr : found->value.get();
}

/// cloud-init writes a word where it has none.
std::string known_text(const config::Node* mapping, std::string_view key) {
  const auto* node = entry(mapping, key);
  if (node == nullptr || node->kind != config::Node::Kind::scalar) return {};
  const auto& text = node->text;
  return text == "null" || text == "unknown" || text == "none" ? std::string() : text;
}

Cloud from_cloud_init(const collectors::HostPaths& paths) {
  const auto path = paths.root("/run/cloud-init/instance-data.json");
  const auto content = read_file(path, kInstanceDataBytesMax);
  if (!content) return {};
  const auto document = config::parse_document(*content);  // JSON is YAML
  const auto* v1 = entry(document.root.get(), "v1");
  auto provider = known_text(v1, "cloud_name");
  if (provider == "gce") provider = "gcp";
  if (provider == "nocloud" || provider == "configdrive") return {};
  return {std::move(provider), known_text(v1, "region")};
}

}  // namespace

Cloud detect_cloud(const collectors::HostPaths& paths) {
  auto cloud = from_cloud_init(paths);
  if (!cloud.provider.empty()) return cloud;
  const auto found = std::find_if(std::begin(kMarks), std::end(kMarks), [&](const Mark& mark) {
    const auto content = read_file(paths.sys(cat("class/dmi/id/", mark.file)), kDmiBytesMax);
    return content && content->find(mark.text) != std::string::npos;
  });
  if (found != std::end(kMarks)) cloud.provider = found->provider;
  return cloud;
}

}  // namespace msp::cli
