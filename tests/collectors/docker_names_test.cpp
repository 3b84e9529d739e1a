// What a Docker behind collectors.containers.docker_socket can do to the collector `containers`, and how
// often it is asked.
#include <catch2/catch.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/config/config.h"
#include "collectors/docker_names.h"
#include "tests/support/container_host.h"
#include "tests/support/scripted_server.h"

namespace msp::test {
namespace {

/// As Docker 20.10 answers, with what the collector has no use for.
std::string container(unsigned number, std::string_view name) {
  return cat(
      R"({"Id":")", id_of(number), R"(","Names":["/other/alias","/)", name,
      R"("],"Image":"shop/web:1","ImageID":"sha256:0a","Command":"sh -c \"a \u0026\u0026 b\"",)"
      R"("Created":1700000000,"Ports":[{"IP":"0.0.0.0","PrivatePort":80,"Type":"tcp"}],"Labels":)"
      R"({"com.docker.compose.project":"shop","com.docker.compose.service":"web\u003c1\u003e",)"
      R"("maintainer":"x"},"State":"running","HostConfig":{"NetworkMode":"default"},)"
      R"("NetworkSettings":{"Networks":{"Id":{"IPAMConfig":null,"Links":null}}},"Mounts":[]})");
}

std::string list_of(const std::vector<std::string>& containers) {
  std::string list;
  for (const auto& one : containers) list += (list.empty() ? "[" : ",") + one;
  return list + "]\n";
}

Answer docker_says(const std::string& body) {
  return {.text = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body,
          .closes = true};
}

struct DockerHost : ContainerHost {
  DockerHost() { option<std::string>(options, "docker_socket") = socket; }

  const std::string socket = folder / "docker.sock";
};

std::optional<collectors::NamesById> names_in(std::string_view json) {
  collectors::NamesById names;
  if (!collectors::parse_docker_names(json, names)) return std::nullopt;
  return names;
}

}  // namespace

TEST_CASE_METHOD(DockerHost, "a container has the name that Docker says from its first series on",
                 "[threads]") {
  ScriptedServer docker({docker_says(list_of({container(2, "db"), container(1, "web")}))}, socket);
  add(1);
  const auto first = tick();
  CHECK(first.memory == std::map<std::string, double>{{"web", 1}});
  CHECK(first.complaints.empty());
  REQUIRE(docker.requests().size() == 1);
  CHECK(docker.requests()[0].head.starts_with("GET /containers/json?all=1 HTTP/1.0\r\n"));
  CHECK(tick().ended == 0);
}

TEST_CASE_METHOD(DockerHost, "Docker is asked once per change, and not while there is none",
                 "[threads]") {
  const auto both = docker_says(list_of({container(1, "web"), container(2, "db")}));
  ScriptedServer docker({both, both, both}, socket);
  CHECK_FALSE(tick().error.empty());  // no container
  CHECK(docker.requests().empty());
  add(1);
  for (int i = 0; i < 5; ++i) tick();
  CHECK(docker.requests().size() == 1);
  add(2);
  for (int i = 0; i < 5; ++i) CHECK(tick().memory.size() == 2);
  CHECK(docker.requests().size() == 2);
  remove(1);
  for (int i = 0; i < 5; ++i) CHECK(tick().memory == std::map<std::string, double>{{"db", 2}});
  CHECK(docker.requests().size() == 3);
}

TEST_CASE_METHOD(DockerHost, "without an answer there are no names, and one line", "[threads]") {
  const auto id = cat("/system.slice/docker-", id_of(1), ".scope");
  add(1);
  const auto without = [&](const std::string& why) {
    const auto report = tick();
    CHECK(report.memory == std::map<std::string, double>{{id, 1}});
    REQUIRE(report.complaints.size() == 1);
    CHECK(report.complaints[0] == cat(socket, ": ", why, "; a name is left out"));
    CHECK(tick().complaints.empty());  // it is said
  };
  const auto answers = [&](Answer answer, const std::string& why) {
    const ScriptedServer docker({std::move(answer)}, socket);
    without(why);
  };
  SECTION("nobody listens") {
    without("cannot connect: No such file or directory");
  }
  SECTION("it hangs") {
    answers({}, "no answer within 2000 ms");
  }
  SECTION("it refuses") {
    answers({.text = "HTTP/1.0 403 Forbidden\r\n\r\n{\"message\":\"no\"}", .closes = true},
            "answers 'HTTP/1.0 403 Forbidden' and no list of containers");
  }
  SECTION("it is no Docker") {
    answers({.text = "SSH-2.0-OpenSSH_9.2\r\n", .closes = true},
            "answers 'SSH-2.0-OpenSSH_9.2' and no list of containers");
  }
  SECTION("it breaks off") {
    answers(docker_says("[" + container(1, "web")),
            "answers 'HTTP/1.0 200 OK' and no list of containers");
  }
  SECTION("it never ends") {
    auto endless = docker_says("[");
    endless.repeated = std::string(1 << 20, ' ');
    answers(endless, "an answer of more than 4 MiB");
  }
}

TEST_CASE_METHOD(DockerHost, "a Docker that comes back gives the names", "[threads]") {
  add(1);
  CHECK(tick().complaints.size() == 1);
  ScriptedServer docker({docker_says(list_of({container(1, "web"), container(2, "db")}))}, socket);
  add(2);
  // A tick does not wait for one that has failed: the names are there when the answer is.
  std::vector<std::string> said;
  for (int seconds = 0; seconds < 120; ++seconds) {
    const auto report = tick();
    said.insert(said.end(), report.complaints.begin(), report.complaints.end());
    if (report.memory.contains("db")) break;
    wakeup->wait(kNsPerSecond);
  }
  REQUIRE(said.size() == 1);
  CHECK(said[0].starts_with("over: "));
  CHECK(tick().memory == std::map<std::string, double>{{"db", 2}, {"web", 1}});
}

TEST_CASE_METHOD(DockerHost, "a socket that is there is a good option, what is no path is none",
                 "[threads]") {
  const ScriptedServer docker({}, socket);
  const auto errors_of = [](const std::string& value) {
    return config::parse_config(cat("listen: {address: '127.0.0.1:9100'}\n"
                                    "collectors: {containers: {docker_socket: '",
                                    value, "'}}\n"),
                                "test")
        .errors.size();
  };
  CHECK(errors_of(socket) == 0);
  CHECK(errors_of("tcp://127.0.0.1:2375") == 1);
}

TEST_CASE("Docker's list of containers is read by its names", "[threads]") {
  const auto names = names_in(list_of({container(1, "web"), container(2, "db")}));
  REQUIRE(names.has_value());
  REQUIRE(names->size() == 2);
  collectors::ContainerLabels web;
  web.name = "web";
  web.image = "shop/web:1";
  web.compose_project = "shop";
  web.compose_service = "web<1>";
  CHECK(names->at(id_of(1)) == web);
  CHECK(names_in("[]")->empty());
  CHECK(
      names_in(" [ { \"Id\" : \"a\" , \"Names\" : [ \"/\\ud800\\u0026\\n\" ] } ] ")->at("a").name ==
      "\xef\xbf\xbd&\xef\xbf\xbd");
  for (const std::string_view bad :
       {"", "{}", "null", "[", "[]]", "[] x", "[{]", "[{\"Id\":\"\\", "<html>"}) {
    INFO(bad);
    CHECK_FALSE(names_in(bad).has_value());
  }
  CHECK_FALSE(names_in(std::string(100'000, '[')).has_value());
}

TEST_CASE("whatever a byte of Docker's answer is, it is names in UTF-8 or an error", "[threads]") {
  const auto whole = list_of({container(1, "web")});
  for (std::size_t bytes = 0; bytes < whole.size() - 2; ++bytes) {
    INFO("after " << bytes << " bytes");
    REQUIRE_FALSE(names_in(whole.substr(0, bytes)).has_value());
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char put : {'\0', '"', '\\', '{', ']', ',', '\x80', '\xff', 'u'}) {
      auto bad = whole;
      bad[at] = put;
      const auto names = names_in(bad);
      for (const auto& [id, labels] : names ? *names : collectors::NamesById{}) {
        REQUIRE(is_utf8(id));
        REQUIRE(is_utf8(cat(labels.name, labels.image, labels.compose_project)));
      }
    }
  }
}

}  // namespace msp::test
