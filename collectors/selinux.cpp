// selinux: whether SELinux is on and in which mode, from /sys/fs/selinux/enforce ("1": enforcing),
// and the mode that /etc/selinux/config asks for at the next boot:
//   SELINUX=enforcing
// Where there is no such file in /sys, SELinux is off. A kernel that has it on and no policy gives
// every process the label "kernel", this one, too: that is off as well.
//
// node_exporter takes a /sys/fs/selinux that is mounted read-only for SELinux that is off. Here it
// is not, for systemd's ProtectKernelTunables= shows it like that.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/number_file.h"
#include "collectors/replaced_file.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kEnabled{"node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false",
                              "/sys/fs/selinux/enforce, /proc/self/attr/current"};
constexpr MetricDesc kConfigMode{"node_selinux_config_mode", "Configured SELinux enforcement mode",
                                 "/etc/selinux/config"};
constexpr MetricDesc kCurrentMode{"node_selinux_current_mode", "Current SELinux enforcement mode",
                                  "/sys/fs/selinux/enforce"};

class Selinux : public Collector {
 public:
  explicit Selinux(const CollectorContext& context)
      : enforce_(context.paths.sys("fs/selinux/enforce")),
        label_(context.paths.proc("self/attr/current"), KeptFile::End::short_read),
        config_(context.paths.root("/etc/selinux/config")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    auto mode = enforce_.read(true);
    const bool is_there = mode.state != NumberFile::State::missing;
    if (!is_there) enforce_.forget();
    const bool is_on = is_there && has_policy();
    out.add(kEnabled, is_on ? 1 : 0);
    if (!is_on) return {};
    if (mode.number > 1) mode.state = NumberFile::State::garbled;
    if (mode.state == NumberFile::State::number) {
      out.add(kCurrentMode, static_cast<double>(mode.number));
    } else {
      complain(out.complaints(), enforce_, mode, {kCurrentMode.name});
    }
    add_config_mode(out);
    return {};
  }

 private:
  bool has_policy() {
    const auto label = label_.read();
    return !label ||
           label->substr(0, label->find_first_of(std::string_view("\0\n", 2))) != "kernel";
  }

  void add_config_mode(SeriesWriter& out) {
    const auto is_new = config_.look();
    if (!is_new && is_new.error().kind != Error::Kind::no_data) {
      out.complaints().unreadable(config_.path(), is_new.error(), {kConfigMode.name});
      return;
    }
    if (!is_new || *is_new) config_mode_ = is_new ? mode_in(config_.content()) : kDisabled;
    out.add(kConfigMode, config_mode_);
  }

  /// The first line that says so counts.
  static int mode_in(std::string_view config) {
    constexpr std::string_view kKey = "SELINUX=";
    while (const auto line = next_line(config)) {
      auto text = trim(*line);
      if (!text.starts_with(kKey)) continue;
      text.remove_prefix(kKey.size());
      if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
      }
      return text == "enforcing" ? 1 : text == "permissive" ? 0 : kDisabled;
    }
    return kDisabled;
  }

  static constexpr int kDisabled = -1;

  NumberFile enforce_;
  KeptFile label_;
  ReplacedFile config_;
  int config_mode_ = kDisabled;
};

}  // namespace

CollectorType selinux_collector() {
  return {make_collector<Selinux>};
}

}  // namespace msp::collectors
