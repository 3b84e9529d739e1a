// What a collector knows of each device in a /proc table that lists the same devices in the same
// order at nearly every tick: then finding a device is one comparison of names. One that is new is
// made where it stands, one that is gone is forgotten.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace msp::collectors {

/// `Device` has a member `name` that compares with a string_view.
template <typename Device>
class DeviceList {
 public:
  void begin_tick() { seen_ = 0; }

  /// The device of the table's next line, from `make(name)` if it was not in the last table. Null
  /// where the table has had a line of it: the kernel lists one twice when another one before it
  /// comes or goes while it is read. Valid until the next call.
  template <typename Make>
  Device* next(std::string_view name, const Make& make) {
    const auto here = devices_.begin() + static_cast<std::ptrdiff_t>(seen_);
    if (here != devices_.end() && here->name == name) return &devices_[seen_++];
    const auto is_it = [&](const Device& other) { return other.name == name; };
    if (std::any_of(devices_.begin(), here, is_it)) return nullptr;
    const auto found = std::find_if(here, devices_.end(), is_it);
    if (found == devices_.end()) {
      devices_.insert(here, make(name));
    } else {
      std::rotate(here, found, found + 1);
    }
    return &devices_[seen_++];
  }

  /// After the table's last line. Left out where the table could not be read: then no device is
  /// forgotten.
  void end_tick() {
    devices_.erase(devices_.begin() + static_cast<std::ptrdiff_t>(seen_), devices_.end());
  }

 private:
  std::vector<Device> devices_;  // the first seen_ ones are this tick's, in its order
  std::size_t seen_ = 0;
};

/// A device of which nothing is known but its name.
struct NamedDevice {
  std::string name;

  static NamedDevice make(std::string_view name) { return {std::string(name)}; }
};

}  // namespace msp::collectors
