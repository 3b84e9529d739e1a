#include "agent/config/config.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/base/text.h"
#include "collectors/registry.h"
#include "tests/support/collector_options.h"
#include "tests/support/shipped_config.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

using namespace std::chrono_literals;

const std::string kSmallest = "customer_id: alpha\nremote_write: {url: http://h/w}\n";

config::Config good(const std::string& yaml) {
  auto outcome = config::parse_config(yaml, "f");
  for (const auto& error : outcome.errors) FAIL_CHECK(error.to_string());
  CHECK(outcome.warnings.empty());
  return std::move(outcome.config);
}

/// A file that is gone when the test is.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& content, mode_t mode) {
    const int fd = ::mkstemp(path_);
    REQUIRE(fd >= 0);
    std::ofstream(path_) << content;
    ::fchmod(fd, mode);
    ::close(fd);
  }
  ~TemporaryFile() { ::unlink(path_); }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/msp-agent-config-XXXXXX";
};

void check_defaults(const config::Config& config) {
  CHECK(config.customer_id == "alpha");
  CHECK(config.environment.empty());
  CHECK(config.server_name == config.host_name);
  CHECK(config.labels.empty());
  CHECK(config.interval == 15s);
  std::vector<std::string> default_on;
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.default_on) default_on.emplace_back(entry.name);
  }
  CHECK(config.collectors == default_on);

  const auto& options = config.collector_options;
  CHECK(test::option<std::chrono::milliseconds>(options.at("filesystem"), "mount_timeout") == 5s);
  for (const std::string wanted : {"/", "/home", "/devices", "/run", "/run/credentials"}) {
    INFO(wanted);
    CHECK(test::filter_of(options, "filesystem.mount_points_exclude")(wanted));
  }
  for (const std::string unwanted :
       {"/dev", "/dev/shm", "/proc/sys/fs/binfmt_misc", "/sys", "/run/credentials/x.service",
        "/var/lib/docker/overlay2/x/merged", "/var/lib/containers/storage/overlay"}) {
    INFO(unwanted);
    CHECK_FALSE(test::filter_of(options, "filesystem.mount_points_exclude")(unwanted));
  }
  CHECK(test::filter_of(options, "filesystem.fs_types_exclude")("ext4"));
  CHECK(test::filter_of(options, "filesystem.fs_types_exclude")("tmpfs"));
  CHECK(test::filter_of(options, "filesystem.fs_types_exclude")("nfs4"));
  CHECK_FALSE(test::filter_of(options, "filesystem.fs_types_exclude")("overlay"));
  CHECK_FALSE(test::filter_of(options, "filesystem.fs_types_exclude")("cgroup2"));
  CHECK_FALSE(test::filter_of(options, "filesystem.fs_types_exclude")("erofs"));
  CHECK(test::filter_of(options, "diskstats.device_exclude")("sda"));
  CHECK(test::filter_of(options, "diskstats.device_exclude")("nvme0n1"));
  CHECK(test::filter_of(options, "diskstats.device_exclude")("dm-0"));
  CHECK_FALSE(test::filter_of(options, "diskstats.device_exclude")("sda1"));
  CHECK_FALSE(test::filter_of(options, "diskstats.device_exclude")("nvme0n1p2"));
  CHECK_FALSE(test::filter_of(options, "diskstats.device_exclude")("zram0"));
  CHECK(test::filter_of(options, "netdev.device_exclude")("eth0"));
  CHECK_FALSE(test::filter_of(options, "netdev.device_exclude")("veth257015d"));
  for (const auto* own : {"lxcbr0", "lxdbr0", "calico0", "veth-wan", "vethernet", "veth0"}) {
    CHECK(test::filter_of(options, "netdev.device_exclude")(own));
  }

  REQUIRE(config.endpoints.size() == 1);
  const auto& endpoint = config.endpoints[0];
  CHECK(endpoint.url == "http://h/w");
  CHECK(endpoint.protocol == config::Protocol::automatic);
  CHECK(endpoint.known_order() == config::Order::automatic);
  CHECK(endpoint.catch_up_rate == 100'000);
  CHECK(endpoint.username.empty());
  CHECK(endpoint.headers.empty());
  CHECK(endpoint.tls.ca_file.empty());
  CHECK_FALSE(endpoint.tls.insecure_skip_verify);
  CHECK(endpoint.proxy_url.empty());
  CHECK(endpoint.no_proxy.empty());
  CHECK(endpoint.timeout == 10s);
  CHECK(config.buffer.path == "/var/lib/msp-agent/buffer");
  CHECK(config.buffer.bytes_max == 256 * 1024 * 1024);
  CHECK(config.buffer.age_max == 7 * 24h);
  CHECK(config.buffer.free_bytes_min == 512 * 1024 * 1024);
  CHECK(config.log_level == LogLevel::info);
}

}  // namespace

TEST_CASE("config: the smallest one has every default") {
  const auto config = good(kSmallest);
  check_defaults(config);
  char name[256];
  REQUIRE(::gethostname(name, sizeof name) == 0);
  CHECK(config.host_name == name);
}

TEST_CASE("config: a key without a value is not set") {
  check_defaults(
      good("customer_id: alpha\nserver_name:\nenvironment: ~\nlabels:\ninterval:\n"
           "collectors:\nremote_write:\n  url: http://h/w\n  tls: {ca_file: , cert_file: }\n"
           "  basic_auth:\n  headers:\nbuffer: {path: }\nlog:\n"));
}

const config::Config& with_every_key() {
  static const auto config = good(R"(
customer_id: alpha-1
server_name: "Web 01"
environment: production
labels: {csp: aws, region: "ap: \u00e9", job: integrations/unix, empty: ''}
interval: 1m30s
collectors:
  enabled: [loadavg]
  filesystem: {mount_points_include: '^/srv', fs_types_exclude: '', mount_timeout: 500ms}
  netdev: {device_exclude: ''}
  diskstats: {device_exclude: '', device_include: '^sd[a-z]$'}
remote_write:
  - url: HTTPS://monitor.example.com:8443/api/v1/write?extra_label=a=b
    protocol: prometheus-1.0
    basic_auth: {username: u, password_file: /run/secret}
    headers: {X-Scope-OrgID: alpha, x_y: " z "}
    tls: {ca_file: /a, cert_file: /b, key_file: /c, server_name: vm.internal, insecure_skip_verify: true}
    proxy_url: http://me:pw@proxy:3128
    no_proxy: [internal.example.com, '10.0.0.0/8', '[::1]']
    timeout: 2s500ms
  - url: http://[fe80::1]:8428/api/v1/write
    bearer_token: token
buffer: {path: /srv/buffer/, max_size: 2GiB, max_age: 12h}
log: {level: warning}
)");
  return config;
}

TEST_CASE("config: every key of the host") {
  const auto& config = with_every_key();
  CHECK(config.customer_id == "alpha-1");
  CHECK(config.server_name == "Web 01");
  CHECK(config.environment == "production");
  CHECK(config.labels == std::vector<metrics::Label>{{"csp", "aws"},
                                                     {"region", "ap: \xc3\xa9"},
                                                     {"job", "integrations/unix"}});
  CHECK(config.interval == 90s);
  CHECK(config.collectors == std::vector<std::string>{"loadavg"});
  const auto& options = config.collector_options;
  CHECK(test::filter_of(options, "filesystem.mount_points_exclude")("/srv/x"));
  CHECK_FALSE(test::filter_of(options, "filesystem.mount_points_exclude")("/"));
  CHECK(test::filter_of(options, "filesystem.fs_types_exclude")("proc"));
  CHECK(test::option<std::chrono::milliseconds>(options.at("filesystem"), "mount_timeout") ==
        500ms);
  CHECK(test::filter_of(options, "netdev.device_exclude")("veth0"));
  CHECK(test::filter_of(options, "diskstats.device_exclude")("sda"));
  CHECK_FALSE(test::filter_of(options, "diskstats.device_exclude")("sda1"));
  CHECK_FALSE(test::filter_of(options, "diskstats.device_exclude")("vda"));
  CHECK(config.buffer.path == "/srv/buffer");
  CHECK(config.buffer.bytes_max == 2ull << 30);
  CHECK(config.buffer.age_max == 12h);
  CHECK(config.log_level == LogLevel::warning);
}

TEST_CASE("config: every key of an endpoint") {
  const auto& config = with_every_key();
  REQUIRE(config.endpoints.size() == 2);
  const auto& first = config.endpoints[0];
  CHECK(first.url == "HTTPS://monitor.example.com:8443/api/v1/write?extra_label=a=b");
  CHECK(first.name() == "HTTPS://monitor.example.com:8443/api/v1/write");
  CHECK(first.protocol == config::Protocol::prometheus_1_0);
  CHECK(first.username == "u");
  CHECK(first.password.empty());
  CHECK(first.password_file == "/run/secret");
  CHECK(first.headers ==
        std::map<std::string, std::string>{{"X-Scope-OrgID", "alpha"}, {"x_y", " z "}});
  CHECK(first.tls.ca_file == "/a");
  CHECK(first.tls.cert_file == "/b");
  CHECK(first.tls.key_file == "/c");
  CHECK(first.tls.server_name == "vm.internal");
  CHECK(first.tls.insecure_skip_verify);
  CHECK(first.proxy_url == "http://me:pw@proxy:3128");
  CHECK(first.no_proxy == "internal.example.com,10.0.0.0/8,[::1]");
  CHECK(first.timeout == 2500ms);
  CHECK(config.endpoints[1].bearer_token == "token");
}

TEST_CASE("config: protocol, order and rate") {
  const auto endpoint = [](const std::string& keys) {
    return good("customer_id: alpha\nremote_write: {url: http://h/w, " + keys + "}\n").endpoints[0];
  };
  CHECK(endpoint("protocol: auto").known_order() == config::Order::automatic);
  CHECK(endpoint("protocol: victoriametrics").known_order() == config::Order::fresh_first);
  CHECK(endpoint("protocol: victoriametrics").protocol == config::Protocol::victoriametrics);
  CHECK(endpoint("protocol: prometheus-1.0").known_order() == config::Order::oldest_first);
  CHECK(endpoint("protocol: prometheus-2.0").known_order() == config::Order::oldest_first);
  CHECK(endpoint("protocol: prometheus-2.0").protocol == config::Protocol::prometheus_2_0);
  CHECK(endpoint("protocol: prometheus-1.0, order: fresh_first").known_order() ==
        config::Order::fresh_first);
  CHECK(endpoint("order: oldest_first").known_order() == config::Order::oldest_first);
  CHECK(endpoint("catch_up_rate: 5000").catch_up_rate == 5'000);
  CHECK(endpoint("catch_up_rate: unlimited").catch_up_rate == 0);
}

TEST_CASE("config: an endpoint's name, and how often it is sent to") {
  const auto endpoint = [](const std::string& keys) {
    return good("customer_id: alpha\ninterval: 15s\nremote_write: {url: http://h/w, " + keys +
                "}\n")
        .endpoints[0];
  };
  CHECK(endpoint("timeout: 10s").label.empty());
  CHECK(endpoint("timeout: 10s").send_every.count() == 0);
  CHECK(endpoint("name: centre-1.alpha_b").label == "centre-1.alpha_b");
  CHECK(endpoint("send_every: 60s").send_every == std::chrono::seconds(60));
  CHECK(endpoint("send_every: 15s").send_every == std::chrono::seconds(15));
  CHECK(endpoint("send_every: 1h").send_every == std::chrono::hours(1));
}

TEST_CASE("config: YAML's other ways to write the same") {
  check_defaults(good("\xef\xbb\xbf" + kSmallest));
  check_defaults(good("customer_id: alpha\r\nremote_write: {url: http://h/w}\r\n"));
  check_defaults(good("--- # a comment\n" + kSmallest + "...\n"));
  check_defaults(good("customer_id: alpha\nremote_write: {url: 'http://h/w'}"));
  check_defaults(
      good("{\"customer_id\": \"alpha\", \"remote_write\": [{\"url\": \"http://h/w\"}]}"));
  const auto config = good(
      "customer_id: &id alpha\nserver_name: *id\n"
      "remote_write:\n- url: http://a/w\n  headers: &h {X-A: b}\n- url: http://b/w\n  headers: "
      "*h\n");
  CHECK(config.server_name == "alpha");
  CHECK(config.endpoints[1].headers == config.endpoints[0].headers);
}

TEST_CASE("config: a preset is what enabled adds to and disabled takes away from") {
  const auto running = [](const std::string& collectors) {
    return good(kSmallest + "collectors: {" + collectors + "}\n").collectors;
  };
  const std::vector<std::string> minimal = {"cpu",     "diskstats", "filesystem", "loadavg",
                                            "meminfo", "netdev",    "stat"};
  CHECK(running("preset: minimal") == minimal);
  CHECK(running("preset: standard") == good(kSmallest).collectors);
  CHECK(running("preset: full").size() == collectors::collector_registry().size());
  CHECK(running("preset: minimal, enabled: [uname], disabled: [cpu, diskstats, netdev]") ==
        std::vector<std::string>{"filesystem", "loadavg", "meminfo", "stat", "uname"});
  CHECK(running("preset: full, disabled: [processes]").size() ==
        collectors::collector_registry().size() - 1);
  CHECK(running("enabled: [uname]") == std::vector<std::string>{"uname"});
}

TEST_CASE("config: the costly interval is a multiple of the interval") {
  using namespace std::chrono_literals;
  const auto interval = [](const std::string& more) {
    return good(kSmallest + more).costly_interval;
  };
  CHECK(interval("") == 60s);
  CHECK(interval("interval: 7s\n") == 63s);
  CHECK(interval("interval: 2m\n") == 2min);
  CHECK(interval("interval: 10s\ncollectors: {costly_interval: 25s}\n") == 30s);
  CHECK(interval("collectors: {costly_interval: 1s}\n") == 15s);
}

TEST_CASE("config: collectors are the registry's, less what is disabled") {
  const auto config = good(kSmallest + "collectors: {enabled: [loadavg, loadavg], disabled: []}\n");
  CHECK(config.collectors == std::vector<std::string>{"loadavg"});
  if (collectors::collector_registry().size() > 1) {
    auto rest = good(kSmallest).collectors;
    std::erase(rest, "loadavg");
    CHECK(good(kSmallest + "collectors: {disabled: [loadavg]}\n").collectors == rest);
  }
}

TEST_CASE("config: the environment fills in values and never structure") {
  ::setenv("MSP_TEST_ID", "from-env", 1);
  ::setenv("MSP_TEST_TRAP", "a: b, c: [d] # ${MSP_TEST_ID} $$", 1);
  ::setenv("MSP_TEST_EMPTY", "", 1);
  ::unsetenv("MSP_TEST_UNSET");
  const auto config = good(
      "customer_id: ${MSP_TEST_ID}\n"
      "environment: \"${MSP_TEST_EMPTY}\"\n"
      "interval: ${MSP_TEST_UNSET:-20}s\n"
      "labels:\n"
      "  trap: ${MSP_TEST_TRAP}\n"
      "  many: x-${MSP_TEST_ID}-${MSP_TEST_EMPTY:-d}-${MSP_TEST_UNSET:-}-y\n"
      "  dollars: $5 $$5 $${MSP_TEST_ID} 5$\n"
      "remote_write: {url: http://h/w, bearer_token: '${MSP_TEST_ID}'}\n");
  CHECK(config.customer_id == "from-env");
  CHECK(config.environment.empty());
  CHECK(config.interval == 20s);
  CHECK(config.labels == std::vector<metrics::Label>{{"trap", "a: b, c: [d] # ${MSP_TEST_ID} $$"},
                                                     {"many", "x-from-env-d--y"},
                                                     {"dollars", "$5 $5 ${MSP_TEST_ID} 5$"}});
  CHECK(config.endpoints[0].bearer_token == "from-env");
}

TEST_CASE("config: the labels of every sample") {
  auto config = good(kSmallest + "server_name: web\nenvironment: prod\nlabels: {csp: aws}\n");
  config.host_name = "host";
  const auto target = config.target_labels();
  CHECK(target.forced ==
        std::vector<metrics::Label>{{"customer_id", "alpha"}, {"server_name", "web"}});
  CHECK(target.defaults ==
        std::vector<metrics::Label>{
            {"environment", "prod"}, {"csp", "aws"}, {"instance", "host"}, {"job", "node"}});

  auto own = good(kSmallest + "labels: {job: integrations/unix, instance: i-1}\n");
  const metrics::Labels labels(own.target_labels().defaults);
  CHECK(labels.get("job") == "integrations/unix");
  CHECK(labels.get("instance") == "i-1");
  CHECK(labels.get("environment").empty());
}

TEST_CASE("config: more labels than receivers take are warned about") {
  const auto warnings = [](int count) {
    auto yaml = kSmallest + "labels:\n";
    for (int i = 0; i < count; ++i) yaml += cat("  l", i, ": x\n");
    const auto outcome = config::parse_config(yaml, "f");
    REQUIRE(outcome.errors.empty());
    return outcome.warnings;
  };
  CHECK(warnings(5).empty());
  REQUIRE(warnings(6).size() == 1);
  CHECK(warnings(6)[0].starts_with(
      "f:4:3: labels: found 6, with which a series has up to 31 labels; VictoriaMetrics and Mimir "
      "take 30 by default"));
}

TEST_CASE("config: the shipped file says what to edit, and is the defaults otherwise") {
  const auto outcome = config::parse_config(test::shipped_config(), "etc");
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors[0].text.starts_with("customer_id and, in line "));
  CHECK(outcome.errors[0].text.ends_with(
      ", remote_write.url are not filled in: write them there, or run: msp-agent init"));
  const auto worse = config::parse_config(test::shipped_config() + "interval: 0s\n", "etc");
  REQUIRE(worse.errors.size() == 3);
  CHECK(worse.errors[0].text.starts_with("customer_id: found nothing; "));
  CHECK(worse.errors[1].text.starts_with("remote_write.url: found nothing; "));
  check_defaults(good(test::filled_in(test::shipped_config())));
}

TEST_CASE("config: the shipped file's commented keys are the defaults, too") {
  std::istringstream lines(test::filled_in(test::shipped_config()));
  std::string uncommented;
  int keys = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto hash = line.find('#');
    if (hash != std::string::npos && hash == line.find_first_not_of(' ') &&
        hash + 1 < line.size() && line[hash + 1] != ' ') {
      line.erase(hash, 1);
      ++keys;
    }
    uncommented += line + "\n";
  }
  CHECK(keys == 174);
  // What must be filled in where there are such mappings.
  for (const auto& [blank, filled] :
       {std::pair("job: \"\"", "job: j"), std::pair("targets: []", "targets: [h:1]"),
        std::pair("target_label:", "target_label: x"), std::pair("name: \"\"", "name: p"),
        std::pair("address: \"\"", "address: 127.0.0.1:1"),
        std::pair("target: \"\"", "target: http://h/")}) {
    const auto at = uncommented.find(cat("  ", blank, "\n"));
    REQUIRE(at != std::string::npos);
    uncommented.replace(at + 2, std::string_view(blank).size(), filled);
  }

  // The list of collectors is held against the registry.
  const std::string kEnabled = "enabled: [";
  const auto begin = uncommented.find(kEnabled) + kEnabled.size();
  const auto end = uncommented.find(']', begin);
  REQUIRE(end != std::string::npos);
  const auto enabled = cat(" ", uncommented.substr(begin, end - begin), ",");
  std::string default_on;
  for (const auto& entry : collectors::collector_registry()) {
    if (!entry.default_on) continue;
    INFO(entry.name);
    CHECK(enabled.find(cat(" ", entry.name, ",")) != std::string::npos);
    default_on += cat(default_on.empty() ? "" : ", ", entry.name);
  }
  check_defaults(good(uncommented.replace(begin, end - begin, default_on)));
}

TEST_CASE("config: a file that cannot be used") {
  auto outcome = config::load_config("/nonexistent/msp-agent.yaml");
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors[0].to_string() ==
        "/nonexistent/msp-agent.yaml: there is no such file; make it from the etc/msp-agent.yaml "
        "that comes with the agent, or name another with --config");

  outcome = config::load_config("/tmp");
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors[0].to_string() == "/tmp: not a regular file; name one with --config");

  const TemporaryFile large(std::string(10 << 20, ' '), 0600);
  outcome = config::load_config(large.path());
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors[0].to_string() ==
        large.path() + ": the file has 10485760 bytes; accepted: at most 1048576");
}

TEST_CASE("config: an id of a customer that exists is taken as it is, with a warning") {
  const auto outcome_of = [](const std::string& id) {
    return config::parse_config("customer_id: " + id + "\nremote_write: {url: http://h/w}\n", "f");
  };
  for (const std::string plain : {"alpha", "a-1", "9"}) {
    CHECK(outcome_of(plain).errors.empty());
    CHECK(outcome_of(plain).warnings.empty());
  }
  for (const std::string existing : {"Alpha", "ACME_01", "_x", "x_"}) {
    INFO(existing);
    const auto outcome = outcome_of(existing);
    CHECK(outcome.errors.empty());
    CHECK(outcome.config.customer_id == existing);
    REQUIRE(outcome.warnings.size() == 1);
    CHECK(outcome.warnings[0].starts_with("f:1:14: customer_id: '" + existing + "' has upper"));
  }
  for (const std::string refused : {"a.b", "-A", "A-", "a b"}) {
    CHECK(outcome_of(refused).errors.size() == 1);
  }
}

TEST_CASE("config: the hash is that of the file, whoever reads it, and of no secret") {
  const auto hash_of = [](const std::string& text) {
    return config::load_config(TemporaryFile(text, 0600).path()).config.hash;
  };
  const auto with_token = [](const std::string& token) {
    return kSmallest.substr(0, 19) + "remote_write: {url: http://h/w, bearer_token: " + token +
           "}\n";
  };
  CHECK(hash_of(kSmallest) == hash_of(kSmallest));
  CHECK(hash_of(kSmallest) != hash_of(kSmallest + "# a comment\n"));
  CHECK(hash_of(kSmallest) != 0);
  CHECK(hash_of(kSmallest) < std::uint64_t{1} << 48);
  CHECK(hash_of(with_token("hunter2")) == hash_of(with_token("another-one")));
}

TEST_CASE("config: secrets that everybody can read are warned about and not repeated") {
  const std::string yaml =
      "customer_id: alpha\nremote_write:\n"
      "- url: http://a/w\n  basic_auth: {username: u, password: hunter2}\n"
      "- url: http://b/w\n  bearer_token: ${HOME}\n"
      "- url: http://c/w\n  proxy_url: http://u:hunter2@p\n";
  const TemporaryFile open(yaml, 0644);
  const auto advice =
      ": every user of this host can read this secret; run: chmod o-r " + open.path();
  CHECK(config::load_config(open.path()).warnings ==
        std::vector{open.path() + ": remote_write[0].basic_auth.password" + advice,
                    open.path() + ": remote_write[2].proxy_url" + advice});
  const TemporaryFile closed(yaml, 0640);
  CHECK(config::load_config(closed.path()).warnings.empty());
  CHECK(config::load_config(closed.path()).errors.empty());

  const TemporaryFile open_secret("hunter2", 0644);
  const TemporaryFile closed_secret("hunter2", 0640);
  const auto warnings_with = [](const std::string& file) {
    const TemporaryFile config(kSmallest.substr(0, 19) + "remote_write: {url: http://h/w, " +
                                   "bearer_token_file: " + file + "}\n",
                               0644);
    auto warnings = config::load_config(config.path()).warnings;
    for (auto& warning : warnings) warning.erase(0, config.path().size());
    return warnings;
  };
  CHECK(warnings_with(open_secret.path()) ==
        std::vector{": remote_write.bearer_token_file: every user of this host can read the secret "
                    "in " +
                    open_secret.path() + "; run: chmod o-r " + open_secret.path()});
  CHECK(warnings_with(closed_secret.path()).empty());
  CHECK(warnings_with("/nonexistent/hunter2") ==
        std::vector<std::string>{": remote_write.bearer_token_file: cannot look at its file: No "
                                 "such file or directory; make it, or correct its path"});
}

}  // namespace msp
