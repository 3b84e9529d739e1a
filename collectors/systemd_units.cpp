#include "collectors/systemd_units.h"

#include <algorithm>

#include "agent/base/text.h"

namespace msp::collectors {
namespace {

constexpr std::string_view kSystemd = "org.freedesktop.systemd1";
constexpr std::string_view kManagerPath = "/org/freedesktop/systemd1";
constexpr std::string_view kManager = "org.freedesktop.systemd1.Manager";
constexpr std::string_view kProperties = "org.freedesktop.DBus.Properties";

constexpr std::size_t kNameBytesMax = 256;  // of a unit, as systemd has it
constexpr std::size_t kWordBytesMax = 64;   // of a state or a type
constexpr std::size_t kStatesMax = 16;      // systemd has eight
constexpr std::size_t kPathBytesMax = 1'024;

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kWordBytesMax && is_printable(text);
}

/// A property of type `type`, "s" or "u"; no data where systemd does not know it.
template <typename Read>
auto property(SystemBus& bus, std::string_view path, std::string_view interface,
              std::string_view name, std::string_view type, Read read)
    -> Result<decltype(read(std::declval<DbusReader&>()))> {
  const auto answer = bus.call({kSystemd, path, kProperties, "Get", {interface, name}});
  if (!answer) return answer.error();
  const auto what = cat("systemd's property ", name, " of ", quoted(path, kQuotedBytesMax));
  if (answer->type == DbusMessage::kError) {
    return no_data(cat(what, ": ", quoted(answer->error_name, kQuotedBytesMax)));
  }
  auto reader = answer->reader();
  const bool is_known = answer->signature == "v" && reader.signature() == type;
  auto value = read(reader);
  if (!is_known || reader.has_failed() || !reader.is_at_end()) {
    return failed(cat(what, ": not of the type that it should be"));
  }
  return value;
}

Result<std::string> text_property(SystemBus& bus, std::string_view path, std::string_view interface,
                                  std::string_view name) {
  return property(bus, path, interface, name, "s",
                  [](DbusReader& reader) { return std::string(reader.string()); });
}

Result<std::uint32_t> count_property(SystemBus& bus, std::string_view path,
                                     std::string_view interface, std::string_view name) {
  return property(bus, path, interface, name, "u",
                  [](DbusReader& reader) { return reader.number(); });
}

bool is_missing(const Error& error) {
  return error.kind == Error::Kind::no_data;
}

bool is_control_group(std::string_view path) {
  return path.size() > 1 && path.size() <= kPathBytesMax && path.front() == '/' &&
         is_printable(path) && cat(path, "/").find("/../") == path.npos;
}

/// What stands in the list beside the name.
struct ListedUnit {
  SystemdUnit unit;
  std::string path;  // on the bus
};

Result<void> count(std::string_view state, SystemdUnits& out) {
  const auto is_it = [&](const auto& known) { return known.first == state; };
  auto known = std::find_if(out.states.begin(), out.states.end(), is_it);
  if (known == out.states.end()) {
    if (!is_word(state) || out.states.size() == kStatesMax) {
      return failed(
          cat("systemd's list of units: a unit is in the state ", quoted(state, kQuotedBytesMax)));
    }
    known = out.states.insert(known, {std::string(state), 0});
  }
  ++known->second;
  return {};
}

/// name, description, load, active and sub state, following, path, job, its type and path: a list
/// of a(ssssssouso).
Result<std::vector<ListedUnit>> read_list(const DbusMessage& list, const Filter& wanted,
                                          SystemdUnits& out) {
  const auto garbled = failed("systemd's list of units: not what ListUnits should return");
  if (list.signature != "a(ssssssouso)") return garbled;
  std::vector<ListedUnit> found;
  auto reader = list.reader();
  for (const auto end = reader.array_end(8); reader.at() < end;) {
    reader.align(8);
    const auto name = reader.string();
    reader.string();
    const auto load_state = reader.string();
    const auto active_state = reader.string();
    reader.string();
    reader.string();
    const auto path = reader.string();
    reader.number();
    reader.string();
    reader.string();
    if (reader.has_failed() || reader.at() > end || name.empty() || name.size() > kNameBytesMax) {
      return garbled;
    }
    if (auto counted = count(active_state, out); !counted) return counted.error();
    // Others are names that some unit refers to. One whose file is gone may still run or have failed.
    const bool is_listed = active_state == "failed" || (load_state == "loaded" && wanted(name));
    if (!is_listed) continue;
    if (found.size() == SystemdUnits::kWantedMax) {
      return failed(cat("more than ", SystemdUnits::kWantedMax,
                        " units have failed or match collectors.systemd.units_include"));
    }
    found.push_back({{std::string(name), std::string(active_state)}, std::string(path)});
  }
  if (reader.has_failed() || !reader.is_at_end()) return garbled;
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.unit.name < b.unit.name; });
  return found;
}

/// Moves a text into `to` if it is what it should be; an error only where the bus fails.
Result<void> take(Result<std::string> text, bool (*is_good)(std::string_view), std::string& to) {
  if (!text) return is_missing(text.error()) ? Result<void>{} : text.error();
  if (is_good(*text)) to = std::move(*text);
  return {};
}

Result<void> ask_unit(SystemBus& bus, const std::string& path, SystemdUnit& unit) {
  const std::string_view name = unit.name;
  const bool is_service = name.ends_with(".service");
  if (!is_service && !name.ends_with(".mount")) return {};
  const auto interface =
      is_service ? "org.freedesktop.systemd1.Service" : "org.freedesktop.systemd1.Mount";
  auto taken = take(text_property(bus, path, interface, "Type"), is_word, unit.type);
  if (!taken || !is_service) return taken;
  taken = take(text_property(bus, path, interface, "ControlGroup"), is_control_group,
               unit.control_group);
  if (!taken) return taken;
  const auto restarts = count_property(bus, path, interface, "NRestarts");
  if (restarts) {
    unit.restarts = *restarts;
  } else if (!is_missing(restarts.error())) {
    return restarts.error();
  }
  return {};
}

}  // namespace

Result<SystemdUnits> ask_systemd(SystemBus& bus, const Filter& wanted) {
  SystemdUnits out;
  for (const auto state : kUnitStates) out.states.emplace_back(state, 0);
  const auto version = text_property(bus, kManagerPath, kManager, "Version");
  if (!version) return failed(version.error().text);
  if (!is_word(*version)) return failed("systemd's version: not what it should be");
  out.version = *version;
  auto state =
      take(text_property(bus, kManagerPath, kManager, "SystemState"), is_word, out.system_state);
  if (!state) return state.error();

  const auto list = bus.call({kSystemd, kManagerPath, kManager, "ListUnits"});
  if (!list) return list.error();
  if (list->type == DbusMessage::kError) {
    return failed(cat("systemd's list of units: ", quoted(list->error_name, kQuotedBytesMax)));
  }
  auto listed = read_list(*list, wanted, out);
  if (!listed) return listed.error();
  for (auto& [unit, path] : *listed) {
    if (auto asked = ask_unit(bus, path, unit); !asked) return asked.error();
    out.units.push_back(std::move(unit));
  }
  return out;
}

}  // namespace msp::collectors
