// A FIFO or a device in the place of a file keeps nobody waiting and is named as what it is.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/http/client.h"
#include "agent/run/status_file.h"
#include "tests/support/http_fixture.h"

namespace msp {
namespace {

/// A folder with a FIFO that has no writer.
class OwnFolder {
 public:
  OwnFolder() {
    REQUIRE(::mkdtemp(name_) != nullptr);
    REQUIRE(::mkfifo(path("fifo").c_str(), 0600) == 0);
  }
  ~OwnFolder() { std::filesystem::remove_all(name_); }
  std::string path(const std::string& file) const { return cat(name_, "/", file); }

 private:
  char name_[32] = "/tmp/msp-agent-named-XXXXXX";
};

}  // namespace

TEST_CASE("only a regular file is opened as one") {
  const OwnFolder folder;
  const auto reason = [](const std::string& path) {
    const auto file = open_regular_file(path);
    return file ? std::string() : file.error().text;
  };
  std::ofstream(folder.path("file")) << "text";
  CHECK(reason(folder.path("file")).empty());
  CHECK(reason(folder.path("fifo")) == "not a regular file");
  CHECK(reason("/dev/zero") == "not a regular file");
  CHECK(reason(folder.path("")) == "not a regular file");
  CHECK(reason(folder.path("none")) == "No such file or directory");
}

TEST_CASE("a configuration that is a FIFO, or names one, is told") {
  const OwnFolder folder;
  auto outcome = config::load_config(folder.path("fifo"));
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors[0].to_string() ==
        folder.path("fifo") + ": not a regular file; name one with --config");

  const auto file = folder.path("config.yaml");
  const auto error_with = [&](const std::string& key, const std::string& path) {
    std::ofstream(file) << "customer_id: a\nremote_write:\n  url: https://h/w\n"
                        << key << path << "\n";
    const auto errors = config::load_config(file).errors;
    return errors.empty() ? std::string() : errors[0].to_string();
  };
  const auto found = [&](const std::string& key, const std::string& what) {
    return cat(file, ": remote_write.", key, ": found ", what, "; accepted: the path of a file");
  };
  const auto fifo = folder.path("fifo");
  CHECK(error_with("  bearer_token_file: ", fifo) == found("bearer_token_file", "a FIFO"));
  CHECK(error_with("  basic_auth:\n    username: u\n    password_file: ", "/dev/zero") ==
        found("basic_auth.password_file", "a device or a socket"));
  CHECK(error_with("  tls:\n    ca_file: ", fifo) == found("tls.ca_file", "a FIFO"));
  CHECK(error_with("  tls:\n    key_file: /k\n    cert_file: ", "/etc") ==
        found("tls.cert_file", "a folder"));
  CHECK(error_with("  tls:\n    cert_file: /c\n    key_file: ", fifo) ==
        found("tls.key_file", "a FIFO"));
  CHECK(error_with("  tls:\n    ca_file: ", folder.path("none")).empty());
}

TEST_CASE("a client certificate that has become a FIFO is named, and not waited for") {
  const OwnFolder folder;
  auto options = test::options_for("https://127.0.0.1:1/w");
  options.tls.cert_file = folder.path("none");
  options.tls.key_file = folder.path("fifo");
  http::HttpClient client(options);
  const auto refused = test::post(client);
  CHECK(refused.is_own_fault);
  CHECK(refused.error ==
        "tls.key_file " + folder.path("fifo") + ": not a regular file; put the PEM file back");
}

TEST_CASE("a FIFO in the place of the new status keeps nobody waiting, and is gone afterwards") {
  const OwnFolder folder;
  const auto name = folder.path(run::kStatusFileName);
  REQUIRE(::mkfifo((name + ".new").c_str(), 0600) == 0);
  config::Config config;
  config.buffer.head_path = folder.path("");
  run::StatusFile status(config.buffer);
  const run::StatusReport report{.config = config, .service = {}, .buffer = {}, .collectors = {}};
  status.write(1, report);
  status.write(2, report);
  CHECK(std::filesystem::is_regular_file(name));
}

}  // namespace msp
