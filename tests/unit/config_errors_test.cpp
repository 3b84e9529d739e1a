// One row per bad configuration: the exact words an operator will read.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "tests/support/config_rows.h"

namespace msp {
using namespace test;

TEST_CASE("config errors: the file as a whole") {
  check({
      {"", {"f: the file is empty; accepted: at least customer_id and remote_write with a url"}},
      {"# nothing\n",
       {"f: the file is empty; accepted: at least customer_id and remote_write with a url"}},
      {std::string(10'000'000, '#'), {"f: the file has 10000000 bytes; accepted: at most 1048576"}},
      {"- a\n", {"f:1:1: the file: found a list; accepted: a mapping, that is lines 'key: value'"}},
      {"hello\n",
       {"f:1:1: the file: found a single value; accepted: a mapping, that is lines 'key: value'"}},
      {"a: 1\nb: caf\xe9\n", {"f:2:7: a byte that is not UTF-8; accepted: text in UTF-8"}},
      {"a: \xc3\xa9\xc3\n", {"f:1:5: a byte that is not UTF-8; accepted: text in UTF-8"}},
      {"a: \xed\xa0\x80\n", {"f:1:4: a byte that is not UTF-8; accepted: text in UTF-8"}},
      {"a: 1\n\x04"
       "b: 2\n",
       {"f:2:1: a control character; accepted: text in UTF-8"}},
      {std::string("a\0b", 3), {"f:1:2: a control character; accepted: text in UTF-8"}},
  });
}

TEST_CASE("config errors: broken YAML") {
  const std::string document =
      "not YAML: the file goes on after its first document; accepted: one document, that is one "
      "mapping and no '---' behind it";
  const std::string colon =
      "not YAML: a ':' where no key can stand: check the indentation of this line and the one "
      "before it, and put quotes around a value that holds ': '";
  check({
      {with("log:\n\tlevel: info\n"), {"f:4:1: not YAML: a tab in the indentation: use spaces"}},
      {"\tcustomer_id: a\n", {"f:1:1: not YAML: a tab in the indentation: use spaces"}},
      {"a: 1\n \tb: 2\n", {"f:2:2: not YAML: a tab in the indentation: use spaces"}},
      {with("labels: {a: [1\n"), {"f:3:13: not YAML: this '[' is not closed"}},
      {with("labels: {a: 1\n"), {"f:3:9: not YAML: this '{' is not closed"}},
      {with("environment: \"x\ninterval: 15s\n"), {"f:3:14: not YAML: this quote is not closed"}},
      {with("labels: {a: 'x\n"), {"f:3:13: not YAML: this quote is not closed"}},
      {with("environment: a: b\n"), {"f:3:15: " + colon}},
      {with("log:\n  level: info\n   x: 5\n"), {"f:5:5: " + colon}},
      {with("]\n"), {"f:3:1: not YAML: a ']' or '}' that closes nothing"}},
      {with("environment: @x\n"),
       {"f:3:14: not YAML: a character that cannot begin a value: put quotes around the value"}},
      {with("environment: \"\\qx\"\n"),
       {"f:3:17: not YAML: an unknown escape after '\\': put single quotes around the value, or "
        "write '\\\\'"}},
      {with("environment: *x\n"),
       {"f:3:14: not YAML: '*' begins an alias, and no '&' defines it: put quotes around a value "
        "that begins with '*'"}},
      {with("labels: &x {a: *x}\n"),
       {"f:3:16: not YAML: an alias inside the value that it stands for"}},
      {with("? [a]\n: b\n"), {"f:3:3: not YAML: a list or mapping as a key; accepted: a word"}},
      {with("---\na: 1\n"), {"f:3:1: " + document}},
      {"- a\nb: c\n", {"f:2:1: " + document}},
  });
}

TEST_CASE("config errors: keys") {
  check({
      {with("intervall: 15s\n"),
       {"f:3:1: intervall: unknown key, did you mean 'interval'?" + kTopKeys}},
      {with("colour: red\n"), {"f:3:1: colour: unknown key" + kTopKeys}},
      {with("<<: {interval: 15s}\n"), {"f:3:1: <<: unknown key" + kTopKeys}},
      {with("\"in\\nside\": 1\n"), {"f:3:1: in\\nside: unknown key" + kTopKeys}},
      {with("log: {levle: info}\n"),
       {"f:3:7: log.levle: unknown key, did you mean 'level'?; accepted: level"}},
      {with("interval: 15s\ninterval: 20s\n"),
       {"f:4:1: interval: set twice, first in line 3; accepted: once"}},
      {with("labels: {a: b, a: c}\n"),
       {"f:3:16: labels.a: set twice, first in line 3; accepted: once"}},
      {with("collectors:\n  netdev: {device_exclude: a, device_exclude: b}\n"),
       {"f:4:31: collectors.netdev.device_exclude: set twice, first in line 4; accepted: once"}},
      {with("labels: x\n"),
       {"f:3:9: labels: found a single value; accepted: a mapping, that is lines 'key: value'"}},
      {with("collectors:\n- loadavg\n"),
       {"f:4:1: collectors: found a list; accepted: a mapping, that is lines 'key: value'"}},
      {with("environment: {a: b}\n"),
       {"f:3:14: environment: found a mapping; accepted: 1 to 255 bytes of text"}},
  });
}

TEST_CASE("config errors: who and when") {
  const std::string interval = "; accepted: a duration from 1s to 1h, such as 15s";
  const auto no_id = [](const std::string& id) {
    return "customer_id: " + id + "\nremote_write: {url: http://h/w}\n";
  };
  std::vector<Row> rows = {
      {"remote_write: {url: http://h/w}\n", {"f:1:1: customer_id: found nothing" + kIdAccepted}},
      {no_id(""), {"f:1:1: customer_id: found nothing" + kIdAccepted}},
      {no_id("\"\""), {"f:1:14: customer_id: found nothing" + kIdAccepted}},
      {no_id("Alpha Corp!"), {"f:1:14: customer_id: found 'Alpha Corp!'" + kIdAccepted}},
      {no_id("-a"), {"f:1:14: customer_id: found '-a'" + kIdAccepted}},
      {no_id("a-"), {"f:1:14: customer_id: found 'a-'" + kIdAccepted}},
      {no_id(std::string(64, 'a')),
       {"f:1:14: customer_id: found '" + std::string(60, 'a') + "...'" + kIdAccepted}},
      {no_id("[a]"), {"f:1:14: customer_id: found a list" + kIdAccepted}},
      {with("server_name: " + std::string(256, 'a') + "\n"),
       {"f:3:14: server_name: found '" + std::string(60, 'a') +
        "...'; accepted: 1 to 255 bytes of text"}},
      {with("server_name: |\n  web-01\n"),
       {"f:3:14: server_name: found a line break or another control character; accepted: 1 to 255 "
        "bytes of text"}},
  };
  for (const std::string bad : {"0", "0s", "15", "999ms", "61m", "-5s", "1.5s", "15 s", "s", "1s1s",
                                "1s1m", "15S", "99999999999999999999s", "9223372036854775807d"}) {
    rows.push_back(
        {with("interval: " + bad + "\n"), {"f:3:11: interval: found '" + bad + "'" + interval}});
  }
  for (const std::string bad : {"0", "999", "130001", "-5", "50k", "5e4", "unlimited"}) {
    rows.push_back({with("series_max: " + bad + "\n"),
                    {"f:3:13: series_max: found '" + bad +
                     "'; accepted: a number from 1000 to 130000, such as 25000"}});
  }
  rows.push_back({with("interval: [15s]\n"), {"f:3:11: interval: found a list" + interval}});
  check(rows);
}

TEST_CASE("config errors: labels") {
  const std::string name = "; accepted: letters, digits and '_', no digit first, such as ";
  check({
      {with("labels: {1a: x}\n"),
       {"f:3:10: labels.1a: found a name that no label can have" + name + "_1a"}},
      {with("labels: {a-b: x}\n"),
       {"f:3:10: labels.a-b: found a name that no label can have" + name + "a_b"}},
      {with("labels: {'': x}\n"),
       {"f:3:10: labels.: found a name that no label can have" + name + "region"}},
      {with("labels: {__name__: x}\n"),
       {"f:3:10: labels.__name__: found a label that is always set by the agent; accepted: any "
        "other name"}},
      {with("labels: {customer_id: x}\n"),
       {"f:3:10: labels.customer_id: found a label that is always set by the agent; accepted: the "
        "key customer_id at the top of the file"}},
      {with("labels: {server_name: x}\n"),
       {"f:3:10: labels.server_name: found a label that is always set by the agent; accepted: the "
        "key server_name at the top of the file"}},
      {with("environment: a\nlabels: {environment: b}\n"),
       {"f:4:10: labels.environment: found the key environment at the top of the file as well; "
        "accepted: one of the two"}},
      {with("labels: {a: [b]}\n"), {"f:3:13: labels.a: found a list; accepted: a single value"}},
      {with("labels: {a: " + std::string(1025, 'x') + "}\n"),
       {"f:3:13: labels.a: found 1025 bytes; accepted: at most 1024 bytes"}},
  });
}

TEST_CASE("config errors: collectors") {
  const std::string listed = "what 'msp-agent collectors' lists";
  const std::string regex = "; accepted: an RE2 regular expression, such as '^(veth|docker)'";
  check({
      {with("collectors: {enabled: [loadavgg]}\n"),
       {"f:3:24: collectors.enabled[0]: found 'loadavgg', did you mean 'loadavg'?; accepted: " +
        listed}},
      {with("collectors: {disabled: [nothing_near]}\n"),
       {"f:3:25: collectors.disabled[0]: found 'nothing_near'; accepted: " + listed}},
      {with("collectors: {enabled: loadavg}\n"),
       {"f:3:23: collectors.enabled: found a single value; accepted: a list of collectors: " +
        listed}},
      {with("collectors: {enabled: []}\n"),
       {"f:3:23: collectors.enabled: found an empty list; accepted: at least one of " + listed}},
      {with("collectors: {disabled: [" + names_of_collectors() + "]}\n"),
       {"f:3:24: collectors.disabled: found every collector; accepted: all but one, at most"}},
      {with("collectors: {netdev: {device_exclude: '^(veth'}}\n"),
       {"f:3:39: collectors.netdev.device_exclude: found '^(veth', no regular expression: missing "
        ")" +
        regex}},
      {with("collectors: {diskstats: {device_include: '[z-a]'}}\n"),
       {"f:3:42: collectors.diskstats.device_include: found '[z-a]', no regular expression: "
        "invalid character class range 'z-a'" +
        regex}},
      {with("collectors: {filesystem: {fs_types_exclude: '(?=x)'}}\n"),
       {"f:3:45: collectors.filesystem.fs_types_exclude: found '(?=x)', no regular expression: "
        "invalid perl operator '(?='" +
        regex}},
      {with("collectors: {netdev: {device_exclude: a, device_include: b}}\n"),
       {"f:3:58: collectors.netdev.device_include: found device_exclude as well; accepted: one of "
        "the two"}},
      {with("collectors: {filesystem: {mount_timeout: 0s}}\n"),
       {"f:3:42: collectors.filesystem.mount_timeout: found '0s'; accepted: a duration from 10ms "
        "to 1h, such as 5s"}},
      {with("collectors: {loadavg: {x: y}}\n"),
       {"f:3:14: collectors.loadavg: unknown key; accepted: containers, costly_interval, "
        "disabled, diskstats, enabled, filesystem, netclass, netdev, preset, "
        "process_groups, systemd, textfile, top_processes"}},
  });
}

TEST_CASE("config errors: buffer and log") {
  const std::string size = "; accepted: a size from 1MiB to 1TiB, such as 256MiB";
  check({
      {with("buffer: {path: var}\n"),
       {"f:3:16: buffer.path: found something else (not shown); accepted: an absolute path, that "
        "is one that begins with '/'"}},
      {with("buffer: {max_size: 256}\n"), {"f:3:20: buffer.max_size: found '256'" + size}},
      {with("buffer: {max_size: 1KiB}\n"), {"f:3:20: buffer.max_size: found '1KiB'" + size}},
      {with("buffer: {max_size: 99999999TiB}\n"),
       {"f:3:20: buffer.max_size: found '99999999TiB'" + size}},
      {with("buffer: {max_age: 1}\n"),
       {"f:3:19: buffer.max_age: found '1'; accepted: a duration from 1m to 365d, such as 7d"}},
      {with("log: {level: verbose}\n"),
       {"f:3:14: log.level: found 'verbose'; accepted: debug, info, warning, error"}},
  });
}

TEST_CASE("config errors: a buffer in a folder of the system") {
  const auto refused = [](const std::string& path) {
    return errors_of(with("buffer: {path: '" + path + "'}\n"));
  };
  for (const std::string path :
       {"/", "//", "/etc", "/usr/", "/proc", "/proc/self/fd", "/sys/fs", "/dev", "/dev/shm", "/tmp",
        "/var/lib", "/etc/../etc/.", "/var/lib/msp-agent/../..", "/home", "/root"}) {
    auto shown = path;
    while (shown.size() > 1 && shown.ends_with('/')) shown.pop_back();
    CHECK(refused(path) ==
          std::vector<std::string>{cat("f:3:16: buffer.path: found '", shown,
                                       "', a folder of the system; accepted: a folder of the "
                                       "agent's own, such as /var/lib/msp-agent/buffer")});
  }
  for (const std::string path : {"/var/lib/msp-agent", "/tmp/buffer", "/dev/shm/buffer", "/srv",
                                 "/mnt", "/data", "/etc/../data", "/opt/msp-agent", "/processes"}) {
    CHECK(refused(path).empty());
  }
}

namespace {

std::string repeated(int count, const std::function<std::string(int)>& entry) {
  std::string text;
  for (int i = 0; i < count; ++i) text += entry(i);
  return text;
}

std::int64_t cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

TEST_CASE("config errors: more than the agent can use") {
  const auto header = [](int i) { return cat("    x-", i, ": v\n"); };
  const auto label = [](int i) { return cat("  l", i, ": v\n"); };
  const auto host = [](int i) { return cat("h", i, ","); };
  const auto endpoint = [](int i) { return cat("- url: http://h/", i, "\n"); };
  const auto endpoints = [&](int count) {
    return "customer_id: a\nremote_write:\n" + repeated(count, endpoint);
  };
  CHECK(errors_of(endpoints(16)).empty());
  CHECK(errors_of(with("labels:\n" + repeated(64, label))).empty());
  CHECK(errors_of(with_endpoint("  headers:\n" + repeated(64, header))).empty());
  CHECK(errors_of(with_endpoint("  no_proxy: [" + repeated(1000, host) + "]\n")).empty());
  check({
      {endpoints(17), {"f:3:1: remote_write: found 17 endpoints; accepted: at most 16"}},
      {with("labels:\n" + repeated(65, label)),
       {"f:4:3: labels: found 65 labels; accepted: at most 64"}},
      {with_endpoint("  headers:\n" + repeated(40'000, header)),
       {"f:5:5: remote_write.headers: found 40000 headers; accepted: at most 64"}},
      {with_endpoint("  no_proxy: [" + repeated(1001, host) + "]\n"),
       {"f:4:13: remote_write.no_proxy: found 1001 entries; accepted: at most 1000"}},
      {with("collectors: {enabled: [" + repeated(101, host) + "]}\n"),
       {"f:3:23: collectors.enabled: found 101 names; accepted: at most 100"}},
      {with("labels: {a: [" + repeated(150'000, [](int) { return "a,"; }) + "]}\n"),
       {"f:3:199992: not YAML: more than 100000 keys and values; accepted: that many"}},
  });
}

TEST_CASE("config errors: eight times the text takes no more than some eight times as long") {
  using Make = std::function<std::string(int)>;
  const std::pair<const char*, Make> kinds[] = {
      {"unknown keys",
       [](int n) { return with(repeated(n, [](int i) { return cat("key_", i, ": 1\n"); })); }},
      {"a key set again and again",
       [](int n) { return with(repeated(n, [](int) { return "interval: 1s\n"; })); }},
      {"one line",
       [](int n) {
         return with("labels: {a: [" + repeated(n, [](int) { return "abcdef,"; }) + "]}\n");
       }},
      {"headers",
       [](int n) {
         return with_endpoint("  headers:\n" +
                              repeated(n, [](int i) { return cat("    x-", i, ": v\n"); }));
       }},
      {"endpoints",
       [](int n) {
         return "customer_id: a\nremote_write:\n" +
                repeated(n, [](int i) { return cat("- url: http://h/", i, "\n"); });
       }},
  };
  const auto cost_ns = [](const std::string& yaml) {
    const auto begin = cpu_ns();
    CHECK_FALSE(config::parse_config(yaml, "f").errors.empty());
    return static_cast<double>(cpu_ns() - begin);
  };
  for (const auto& [name, make] : kinds) {
    INFO(name);
    const auto small = make(1'000);
    const auto large = make(8'000);
    // The best of three: others use the same caches. Quadratic is 64 times.
    const auto best = [&](const std::string& yaml) {
      return std::min({cost_ns(yaml), cost_ns(yaml), cost_ns(yaml)});
    };
    CHECK(best(large) < 24 * best(small));
  }
}

TEST_CASE("config errors: the environment") {
  ::unsetenv("MSP_TEST_UNSET");
  ::setenv("MSP_TEST_LINES", "a\nb", 1);
  ::setenv("MSP_TEST_BYTES", "a\xff", 1);
  ::setenv("MSP_TEST_LONG", std::string(100'000, 'x').c_str(), 1);
  const std::string accepted = "; accepted: ${NAME}, ${NAME:-default}, or $$ for a '$'";
  check({
      {with("environment: '" + repeated(10'000, [](int) { return "${MSP_TEST_LONG}"; }) + "'\n"),
       {"f:3:14: environment: found more than 262144 bytes, with what the environment variables "
        "hold; accepted: at most that many"}},
      {with("environment: ${MSP_TEST_UNSET}\n"),
       {"f:3:14: environment: the environment variable MSP_TEST_UNSET is not set; set it, or write "
        "${MSP_TEST_UNSET:-default}"}},
      {with("collectors: {enabled: ['${MSP_TEST_UNSET}']}\n"),
       {"f:3:24: collectors.enabled[0]: the environment variable MSP_TEST_UNSET is not set; set "
        "it, or write ${MSP_TEST_UNSET:-default}"}},
      {with("environment: x${\n"), {"f:3:14: environment: found '${' without '}'" + accepted}},
      {with("environment: ${1}\n"), {"f:3:14: environment: found '${' without a name" + accepted}},
      {with("environment: ${A:-${B}}\n"),
       {"f:3:14: environment: found '${' inside of '${..}'" + accepted}},
      {with("environment: ${MSP_TEST_LINES}\n"),
       {"f:3:14: environment: found a line break or another control character; accepted: 1 to 255 "
        "bytes of text"}},
      {with("environment: ${MSP_TEST_BYTES}\n"),
       {"f:3:14: environment: found bytes that are not UTF-8; accepted: 1 to 255 bytes of text"}},
  });
}

TEST_CASE("config errors: all of a file at once, in its order, and not without end") {
  CHECK(errors_of("interval: 0\ncustomer_id: A/\nremote_write:\n  url: h\n  timeout: 0s\n") ==
        std::vector<std::string>{
            "f:1:11: interval: found '0'; accepted: a duration from 1s to 1h, such as 15s",
            "f:2:14: customer_id: found 'A/'" + kIdAccepted,
            "f:4:8: remote_write.url: found 'h' with no scheme" + kUrlAccepted,
            "f:5:12: remote_write.timeout: found '0s'; accepted: a duration from 100ms to 5m, such "
            "as 10s"});
  std::string many;
  for (int i = 0; i < 200; ++i) many += cat("key_", i, ": 1\n");
  const auto errors = errors_of(with(many));
  REQUIRE(errors.size() == 51);
  CHECK(errors.back() == "f: and 150 more errors");
}

}  // namespace msp
