#include "agent/cli/host_check.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <optional>
#include <vector>

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/cli/listen_check.h"
#include "agent/cli/other_agents.h"
#include "agent/run/agent.h"
#include "agent/run/open_files.h"
#include "agent/run/outage.h"

namespace msp::cli {
namespace {

constexpr std::int64_t kOutageSecondsMin = 3600;
// Of the systemd unit.
constexpr const char* kAgentUser = "msp-agent";
constexpr const char* kStateFolder = "/var/lib/msp-agent";

struct User {
  std::string name;
  uid_t uid;
  gid_t gid;
};

/// From /etc/passwd and not by getpwnam(3): a static binary must not load what else knows users.
std::optional<User> find_user(std::string_view name) {
  const auto file = read_file("/etc/passwd", std::size_t{4} << 20);
  std::string_view rest = file ? std::string_view(*file) : std::string_view();
  while (const auto line = next_line(rest)) {
    std::string_view fields[4];
    auto left = *line;
    for (auto& field : fields) {
      const auto end = std::min(left.find(':'), left.size());
      field = left.substr(0, end);
      left.remove_prefix(std::min(end + 1, left.size()));
    }
    const auto uid = parse_number<uid_t>(fields[2]);
    const auto gid = parse_number<gid_t>(fields[3]);
    if (fields[0] == name && uid && gid) return User{std::string(name), *uid, *gid};
  }
  return std::nullopt;
}

/// Whom the agent runs as, as far as this process may try what that one may do.
User agent_user() {
  const auto own = User{::geteuid() == 0 ? "root" : "this user", ::geteuid(), ::getegid()};
  return own.uid == 0 ? find_user(kAgentUser).value_or(own) : own;
}

/// access(2) as `user` gets it: 0 or an errno value. A process of its own asks, for it cannot take
/// back who it has become.
int access_of(const User& user, const std::string& path) {
  const pid_t child = ::fork();
  if (child < 0) return errno;
  if (child == 0) {
    if (user.uid != ::geteuid()) {
      if (::setgroups(0, nullptr) != 0 || ::setgid(user.gid) != 0 || ::setuid(user.uid) != 0) {
        ::_exit(errno);
      }
    }
    ::_exit(::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/// `path`, or what of it is there.
std::string existing_part(std::string path) {
  while (path.size() > 1 && ::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    path.resize(std::max<std::size_t>(path.rfind('/'), 1));
  }
  return path;
}

std::string gibibytes(std::uint64_t bytes) {
  if (bytes >> 30 == 0) return cat(bytes >> 20, " MiB");
  const auto tenths = bytes / ((1u << 30) / 10);
  return cat(tenths / 10, ".", tenths % 10, " GiB");
}

Step folder_step(const config::BufferConfig& buffer) {
  const auto user = agent_user();
  const auto there = existing_part(buffer.path);
  Step step{.name = "buffer", .facts = {{"path", buffer.path}, {"user", user.name}}};
  const auto error = access_of(user, there);
  const auto whom = cat(" (asked for ", user.name, ", uid ", user.uid, ")");
  // systemd makes the unit's StateDirectory= before it starts the agent.
  const bool is_made_at_start = there == "/var/lib" && buffer.path.starts_with(kStateFolder);
  if (error == 0 || is_made_at_start) {
    step.text = cat(buffer.path, there == buffer.path ? " can be used" : " will be made", whom);
    if (user.name == kAgentUser && !buffer.path.starts_with(kStateFolder)) {
      step.verdict = Verdict::note;
      step.text += cat("; systemd's unit lets the agent write under ", kStateFolder,
                       " only: add ReadWritePaths= with `systemctl edit msp-agent`");
    }
  } else {
    step.verdict = Verdict::failed;
    step.text = cat("buffer.path ", buffer.path, ": ", there, ": ", errno_text(error), whom,
                    error == EACCES && ::geteuid() == 0
                        ? cat("; run: install -d -m 750 -o ", user.name, " ", buffer.path)
                        : "",
                    error == ENOTDIR || there.empty() ? "; a folder must be there" : "");
  }
  return step;
}

/// What the host costs at the centre.
Step samples_step(const config::Config& config, std::size_t series, double samples_per_second) {
  constexpr double kSecondsPerDay = 86'400;
  constexpr int kDaysPerMonth = 30;
  const auto per_day = static_cast<std::uint64_t>(samples_per_second * kSecondsPerDay);
  const auto per_month = kDaysPerMonth * per_day;
  return {.name = "samples",
          .text = cat(grouped(series), " series of ", config.collectors.size(),
                      " collectors: ", grouped(per_day), " samples a day, ", grouped(per_month),
                      " in ", kDaysPerMonth, " days, to each endpoint"),
          .facts = {{"series", static_cast<std::int64_t>(series)},
                    {"samples_per_day", static_cast<std::int64_t>(per_day)},
                    {"samples_per_30_days", static_cast<std::int64_t>(per_month)}}};
}

Step room_step(const config::Config& config, double samples_per_second) {
  Step step{.name = "room"};
  const auto there = existing_part(config.buffer.path);
  const auto disk = run::disk_space(there);
  if (!disk) {
    return {.name = "room",
            .verdict = Verdict::failed,
            .text = cat("cannot ask how much room there is in ", there, ": ", errno_text(errno),
                        "; repair that mount, or set another buffer.path")};
  }
  const auto room = run::buffer_room(config.buffer, 0, disk);
  const auto interval_s = static_cast<double>(config.interval.count()) / 1000;
  const auto samples = static_cast<std::uint64_t>(std::llround(samples_per_second * interval_s));
  const auto outage_s = static_cast<std::int64_t>(
      run::outage_seconds(config.buffer, room, samples_per_second, run::bytes_per_sample(0, 0), 0));
  step.facts = {{"free_bytes", static_cast<std::int64_t>(disk->free_bytes)},
                {"room_bytes", static_cast<std::int64_t>(room)},
                {"outage_seconds", outage_s},
                {"samples_per_tick", static_cast<std::int64_t>(samples)}};
  const auto free_text = cat(gibibytes(disk->free_bytes), " free in ", there);
  if (room == 0) {
    step.verdict = Verdict::warning;
    step.text = cat(free_text, ": the buffer gets none of it, because buffer.min_free stays free; ",
                    "an outage of minutes loses samples: make room, or lower buffer.min_free");
    return step;
  }
  const bool by_age = outage_s * 1000 >= config.buffer.age_max.count();
  step.text = cat(free_text, ", ", gibibytes(room), " for the buffer: an outage of about ",
                  about(outage_s), " at ", grouped(samples), " samples every ",
                  duration_text(std::chrono::nanoseconds(config.interval).count()),
                  by_age ? " (the limit is buffer.max_age)" : "");
  if (outage_s < kOutageSecondsMin) {
    step.verdict = Verdict::warning;
    step.text += "; raise buffer.max_size, or make room";
  }
  return step;
}

Step agents_step(const config::Config& config, const collectors::HostPaths& paths) {
  const auto lock = read_file(config.buffer.path + "/lock", 64);
  const auto owner = parse_number<int>(trim(lock ? *lock : std::string()));
  std::string ours;
  std::string others;
  for (const auto& agent : running_agents(paths.procfs)) {
    auto& list = agent.name == "msp-agent" && owner == agent.pid ? ours : others;
    list += cat(list.empty() ? "" : ", ", agent.name, " (process ", agent.pid, ")");
  }
  Step step{.name = "agents", .facts = {{"own", ours}, {"others", others}}};
  step.text = ours.empty() ? "no agent uses this buffer" : cat(ours, " uses this buffer");
  if (!others.empty()) {
    step.verdict = Verdict::note;
    step.text += cat("; also running: ", others,
                     "; if it sends this host's metrics too, stop one of the two");
  } else {
    step.text += ", no other is running";
  }
  return step;
}

}  // namespace

std::string about(std::int64_t seconds) {
  const auto count = [](std::int64_t number, const char* unit) {
    return cat(number, " ", unit, number == 1 ? "" : "s");
  };
  if (seconds >= 2 * 86'400) return count(seconds / 86'400, "day");
  if (seconds >= 2 * 3'600) return count(seconds / 3'600, "hour");
  return count(seconds / 60, "minute");
}

void check_host(const config::Config& config, const collectors::HostPaths& paths,
                CheckReport& report) {
  report.begin_host();
  std::vector<Step> without_data;
  const auto add_step = [&](std::string_view collector, Verdict verdict, std::string text) {
    without_data.push_back({.name = "collector",
                            .verdict = verdict,
                            .text = std::move(text),
                            .facts = {{"collector", std::string(collector)}}});
  };
  auto host = config;
  host.scrape.clear();  // check_target() has asked them
  host.probes.clear();
  const auto collected = run::collect(
      host, paths, 1, {},
      [&](std::string_view collector, const Error* error) {
        if (error == nullptr) return;
        const bool is_missing = error->kind == Error::Kind::no_data;
        add_step(collector, is_missing ? Verdict::note : Verdict::warning,
                 cat(collector, is_missing ? " has no data here: " : ": ", error->text));
      },
      [&](std::string_view collector, std::string_view text, bool) {
        add_step(collector, Verdict::warning, cat(collector, ": ", text));
      });
  if (!config.endpoints.empty()) {  // else there is no buffer, and nothing is sent
    report.add(folder_step(config.buffer));
    report.add(room_step(config, collected.samples_per_second));
    std::size_t series = 0;
    for (const auto& scrape : collected.ticks.front()) series += scrape.values.size();
    report.add(samples_step(config, series, collected.samples_per_second));
    report.add(agents_step(config, paths));
  }
  check_listen(config.listen, report);
  // Of this process, which has the limits of the shell; the unit sets its own.
  if (auto problem = run::raise_open_files(run::open_files_needed(config)); !problem.empty()) {
    report.add({.name = "files", .verdict = Verdict::warning, .text = std::move(problem)});
  }
  for (auto& step : without_data) report.add(std::move(step));
  if (without_data.empty()) {
    report.add({.name = "collector", .text = cat("all ", config.collectors.size(), " have data")});
  }
}

}  // namespace msp::cli
