// uname: what uname(2) says of the system. Asked at every tick: the host name can change.
#include <cerrno>
#include <cstring>

#include "agent/base/text.h"
#include "collectors/collector.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kInfo{
    "node_uname_info", "Labeled system information as provided by the uname system call.",
    "uname(2)", MetricType::gauge, "sysname,release,version,machine,nodename,domainname"};

class Uname : public Collector {
 public:
  explicit Uname(const CollectorContext& context) : uname_(context.host.uname) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    struct utsname name;
    if (uname_(&name) != 0) return failed(cat("uname: ", errno_text(errno)));
    const auto text = [](const auto& field) {
      return std::string_view(field, ::strnlen(field, sizeof field));
    };
    out.add(kInfo,
            {text(name.sysname), text(name.release), text(name.version), text(name.machine),
             text(name.nodename), text(name.domainname)},
            1);
    return {};
  }

 private:
  int (*uname_)(struct utsname*);
};

}  // namespace

CollectorType uname_collector() {
  return {make_collector<Uname>};
}

}  // namespace msp::collectors
