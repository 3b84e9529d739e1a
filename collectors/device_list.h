// What a collector knows of each device in a /proc table that lists the same devices in the same
// order at nearly every tick: then finding a device is one comparison of names. One that is new is
// made where it stands, one that is gone is forgotten.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace msp {

/// `Device` has a member `name` that compares with a string_view.
template <typename Device>
class DeviceList {
 public:
  void begin_tick() { seen_ = 0; }

  /// The device of the table's next line, from `make(name)` if it was not in the last table. Valid
  /// until the next call.
  template <typename Make>
  Device& next(std::string_view name, const Make& make) {
    const auto here = devices_.begin() + static_cast<std::ptrdiff_t>(seen_++);
    if (here != devices_.end() && here->name == name) return *here;
    const auto found =
        std::find_if(here, devices_.end(), [&](const Device& other) { return other.name == name; });
    if (found == devices_.end()) return *devices_.insert(here, make(name));
    std::rotate(here, found, found + 1);
    return *here;
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

}  // namespace msp
