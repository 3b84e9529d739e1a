#include "agent/base/file.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "agent/base/text.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

class Folder {
 public:
  Folder() { REQUIRE(::mkdtemp(name_) != nullptr); }
  ~Folder() { fs::remove_all(name_); }
  std::string path(const std::string& file) const { return cat(name_, "/", file); }
  void write(const std::string& file, const std::string& content) const {
    std::ofstream(path(file), std::ios::trunc) << content;
  }

 private:
  char name_[32] = "/tmp/msp-agent-file-XXXXXX";
};

std::string text(const Result<std::string_view>& content) {
  return content ? std::string(*content) : "error: " + content.error().text;
}

auto open_descriptors() {
  const fs::directory_iterator descriptors("/proc/self/fd");
  return std::distance(fs::begin(descriptors), fs::end(descriptors));
}

}  // namespace

TEST_CASE("kept file: what is written is read anew each time, shorter or longer") {
  const Folder folder;
  KeptFile file(folder.path("a"));
  for (const std::size_t size : {0, 1, 4095, 4096, 4097, 100'000, 3, 0, 8192}) {
    INFO(size);
    const std::string content(size, static_cast<char>('a' + size % 26));
    folder.write("a", content);
    CHECK(text(file.read()) == content);
  }
}

TEST_CASE("kept file: one descriptor, however often it is read") {
  const Folder folder;
  folder.write("a", "x");
  KeptFile file(folder.path("a"));
  CHECK(text(file.read()) == "x");
  const auto before = open_descriptors();
  for (int i = 0; i < 10; ++i) CHECK(text(file.read()) == "x");
  CHECK(open_descriptors() == before);
}

TEST_CASE("kept file: a missing one is no data, and is read once it is there") {
  const Folder folder;
  KeptFile file(folder.path("a"));
  const auto missing = file.read();
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().kind == Error::Kind::no_data);
  CHECK(missing.error().text == "cannot open " + folder.path("a") + ": No such file or directory");
  folder.write("a", "now");
  CHECK(text(file.read()) == "now");
}

TEST_CASE("kept file: what the descriptor was opened on ends, and comes back") {
  // /proc/PID/stat of a child: once it is reaped, reading the kept descriptor fails with ESRCH.
  int to_child[2];
  REQUIRE(::pipe(to_child) == 0);
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(to_child[1]);
    char byte;
    ::_exit(::read(to_child[0], &byte, 1) < 0 ? 1 : 0);
  }
  ::close(to_child[0]);

  const Folder folder;
  const auto link = folder.path("stat");
  fs::create_symlink(cat("/proc/", child, "/stat"), link);
  KeptFile file(link);
  CHECK(text(file.read()).starts_with(cat(child, " (")));

  ::close(to_child[1]);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED) == 0);
  const auto gone = file.read();
  REQUIRE_FALSE(gone.has_value());
  CHECK(gone.error().kind == Error::Kind::no_data);

  fs::remove(link);
  folder.write("stat", "back");
  CHECK(text(file.read()) == "back");
}

TEST_CASE(
    "kept file: one that takes the place of another is read, and one that is gone is no data") {
  const Folder folder;
  fs::create_directory(folder.path("now"));
  folder.write("now/a", "old");
  KeptFile file(folder.path("now/a"));
  CHECK(text(file.read()) == "old");
  folder.write("a.new", "new");
  fs::rename(folder.path("a.new"), folder.path("now/a"));
  CHECK(text(file.read()) == "new");
  const auto descriptors = open_descriptors();
  // The file keeps its links, its folder takes another's place.
  fs::create_directory(folder.path("next"));
  folder.write("next/a", "next");
  fs::rename(folder.path("now"), folder.path("before"));
  CHECK(file.read().error().kind == Error::Kind::no_data);
  fs::rename(folder.path("next"), folder.path("now"));
  CHECK(text(file.read()) == "next");
  CHECK(open_descriptors() == descriptors);
}

TEST_CASE("kept file: the kernel's files are not watched, for they are never replaced") {
  const Folder folder;
  folder.write("a", "x");
  CHECK(can_be_replaced(Fd(::open(folder.path("a").c_str(), O_RDONLY | O_CLOEXEC))));
  for (const char* const path : {"/proc/stat", "/proc/self/mountinfo", "/sys/kernel/mm"}) {
    INFO(path);
    const Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
    REQUIRE(fd);
    CHECK_FALSE(can_be_replaced(fd));
  }
}

TEST_CASE("kept file: a folder is an error, not no data") {
  KeptFile file("/tmp");
  const auto content = file.read();
  REQUIRE_FALSE(content.has_value());
  CHECK(content.error().kind == Error::Kind::failed);
  CHECK(content.error().text == "cannot read /tmp: Is a directory");
}

TEST_CASE("what is no regular file is refused, and never waited for") {
  const Folder folder;
  const auto fifo = folder.path("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const Fd writer(::open(fifo.c_str(), O_RDWR | O_NONBLOCK));  // then a read would wait
  for (const std::string& path : {fifo, std::string("/dev/zero")}) {
    const auto refusal = "cannot open " + path + ": not a regular file";
    KeptFile kept(path);
    const auto content = kept.read();
    CHECK(text(content) == "error: " + refusal);
    CHECK(content.error().kind == Error::Kind::failed);
    const auto once = read_file(path, 1'000);
    REQUIRE_FALSE(once.has_value());
    CHECK(once.error().text == refusal);
  }
}

TEST_CASE("kept file: one without an end is an error before it is all of the memory") {
  const Folder folder;
  folder.write("a", "");
  fs::resize_file(folder.path("a"), std::uintmax_t{1} << 40);  // nothing but a hole
  KeptFile file(folder.path("a"));
  CHECK(text(file.read()) == "error: " + folder.path("a") + ": larger than 67108864 bytes");
}

TEST_CASE("kept file: closed, it opens again at the next read") {
  const Folder folder;
  folder.write("a", "x");
  const auto before = open_descriptors();
  KeptFile file(folder.path("a"));
  CHECK(text(file.read()) == "x");
  file.close();
  CHECK(open_descriptors() == before);
  CHECK(text(file.read()) == "x");
}

TEST_CASE("kept file: in one tick it is read once, errors too") {
  const Folder folder;
  folder.write("a", "first");
  KeptFile file(folder.path("a"));
  CHECK(text(file.read(1)) == "first");
  folder.write("a", "second");
  CHECK(text(file.read(1)) == "first");
  CHECK(text(file.read(2)) == "second");

  KeptFile late(folder.path("b"));
  const auto missing = text(late.read(3));
  folder.write("b", "there");
  CHECK(text(late.read(3)) == missing);
  CHECK(text(late.read(4)) == "there");
}

TEST_CASE("file table: one file for all who ask, as long as one holds it") {
  const Folder folder;
  folder.write("a", "x");
  FileTable files;
  auto first = files.open(folder.path("a"));
  CHECK(files.open(folder.path("a")) == first);
  CHECK(files.open(folder.path("b")) != first);
  CHECK(text(first->read()) == "x");
  const auto with_it = open_descriptors();
  first.reset();
  CHECK(open_descriptors() == with_it - 1);
  CHECK(text(files.open(folder.path("a"))->read()) == "x");
}

TEST_CASE("file table: the end of a shared file is right for all who ask") {
  // The kernel gives a page of this table at a time: a short read is not the end.
  const std::string path = "/proc/kallsyms";
  const auto whole = read_file(path, std::size_t{64} << 20);
  REQUIRE(whole.has_value());
  REQUIRE(whole->size() > 100'000);
  FileTable files;
  const auto hasty = files.open(path, KeptFile::End::short_read);
  const auto thorough = files.open(path);
  REQUIRE(hasty == thorough);
  CHECK(text(thorough->read()).size() == whole->size());
  files.open(path, KeptFile::End::short_read);  // takes nothing back
  CHECK(text(thorough->read()).size() == whole->size());
}

TEST_CASE("read_file: up to its limit") {
  const Folder folder;
  const std::string content(10'000, 'x');
  folder.write("a", content);
  const auto whole = read_file(folder.path("a"), content.size());
  REQUIRE(whole.has_value());
  CHECK(*whole == content);
  const auto too_large = read_file(folder.path("a"), content.size() - 1);
  REQUIRE_FALSE(too_large.has_value());
  CHECK(too_large.error().text == folder.path("a") + ": larger than 9999 bytes");
  const auto missing = read_file(folder.path("b"), 1);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().kind == Error::Kind::no_data);
}

TEST_CASE("fd: moves, and closes what it owns once") {
  const auto before = open_descriptors();
  {
    Fd first(::dup(0));
    REQUIRE(first);
    Fd second(std::move(first));
    CHECK_FALSE(first);
    first = std::move(second);
    CHECK(first);
    CHECK(open_descriptors() == before + 1);
    first.reset();
    CHECK_FALSE(first);
    CHECK(open_descriptors() == before);
  }
  CHECK(open_descriptors() == before);
}

}  // namespace msp
