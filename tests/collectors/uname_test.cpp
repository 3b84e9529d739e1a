// What uname(2) says can change or fail while the agent runs; a fixture holds one answer.
#include <catch2/catch.hpp>

#include <cerrno>
#include <cstring>

#include "collectors/registry.h"

namespace msp {
namespace {

std::unique_ptr<collectors::Collector> make(std::string_view name,
                                            const collectors::CollectorContext& context) {
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.name == name) return entry.make(context);
  }
  return nullptr;
}

const char* g_host_name = nullptr;  // null: the call fails

int fake_uname(struct utsname* out) {
  if (g_host_name == nullptr) {
    errno = EFAULT;
    return -1;
  }
  std::memset(out, 0, sizeof *out);
  std::strcpy(out->nodename, g_host_name);
  return 0;
}

TEST_CASE("a host that is renamed ends the old series and begins a new one", "[uname]") {
  const collectors::HostPaths paths;
  const collectors::CollectorOptions options;
  const collectors::Host host{.uname = fake_uname};
  FileTable files;
  const auto collector = make("uname", {paths, host, options, files});
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  auto& writer = builder.add_writer();
  const auto collect = [&](std::uint64_t tick) {
    builder.begin(writer);
    auto outcome = collector->collect({tick, 0}, writer);
    if (outcome) {
      REQUIRE(builder.commit(writer));
    } else {
      builder.rollback(writer);
    }
    return outcome;
  };

  g_host_name = "before";
  REQUIRE(collect(1));
  REQUIRE(builder.finish(0).values.size() == 1);

  g_host_name = nullptr;
  const auto failure = collect(2);
  REQUIRE(!failure);
  CHECK(failure.error().text == "uname: Bad address");
  CHECK(builder.finish(0).values.empty());

  g_host_name = "after";
  REQUIRE(collect(3));
  const auto scrape = builder.finish(0);
  REQUIRE(scrape.values.size() == 2);
  CHECK((*scrape.series)[0]->labels.get("nodename") == "after");
  CHECK((*scrape.series)[1]->labels.get("nodename") == "before");
  CHECK(metrics::is_stale_marker(scrape.values[1]));
}

}  // namespace
}  // namespace msp
