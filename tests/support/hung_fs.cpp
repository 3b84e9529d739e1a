// hung_fs MOUNTPOINT: an empty FUSE file system whose statfs does not answer until it is told to,
// as a dead NFS server's does not. Told on stdin, one letter each, and each is answered by a line
// on stdout once it is in force:
//   h  statfs hangs from now on (as at the start)
//   a  all that wait are answered, and from now on at once
//   n  the line is the number of statfs requests so far
// The first line on stdout says that it is mounted. It ends with stdin, so that it cannot outlive
// its test; what then waits in statfs gets an error from the kernel.
#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

namespace {

bool g_hangs = true;
int g_requests = 0;
std::vector<fuse_req_t> g_waiting;

void answer(fuse_req_t request) {
  struct statvfs stat {};
  stat.f_bsize = stat.f_frsize = 4096;
  stat.f_blocks = 1000;
  stat.f_bfree = stat.f_bavail = 600;
  stat.f_namemax = 255;
  fuse_reply_statfs(request, &stat);
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
  ++g_requests;
  if (g_hangs) {
    g_waiting.push_back(request);
  } else {
    answer(request);
  }
}

void on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  if (inode != FUSE_ROOT_ID) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  struct stat root {};
  root.st_ino = inode;
  root.st_mode = S_IFDIR | 0755;
  root.st_nlink = 2;
  fuse_reply_attr(request, &root, 1.0);
}

/// False at the end of stdin.
bool obey() {
  char command;
  if (::read(STDIN_FILENO, &command, 1) != 1) return false;
  if (command == 'h') g_hangs = true;
  if (command == 'a') {
    g_hangs = false;
    for (auto* const request : g_waiting) answer(request);
    g_waiting.clear();
  }
  std::printf("%d\n", g_requests);
  std::fflush(stdout);
  return true;
}

void serve(fuse_session* session) {
  fuse_buf buffer{};
  pollfd events[] = {{fuse_session_fd(session), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  while (fuse_session_exited(session) == 0) {
    if (::poll(events, 2, -1) < 0 && errno != EINTR) break;
    if (events[1].revents != 0 && !obey()) break;
    if (events[0].revents == 0) continue;
    const int got = fuse_session_receive_buf(session, &buffer);
    if (got == -EINTR || got == -EAGAIN) continue;
    if (got <= 0) break;
    fuse_session_process_buf(session, &buffer);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: hung_fs MOUNTPOINT\n");
    return 2;
  }
  fuse_args arguments = FUSE_ARGS_INIT(1, argv);
  fuse_lowlevel_ops operations{};
  operations.getattr = on_getattr;
  operations.statfs = on_statfs;
  fuse_session* session = fuse_session_new(&arguments, &operations, sizeof operations, nullptr);
  if (session == nullptr || fuse_session_mount(session, argv[1]) != 0) return 1;
  std::printf("mounted\n");
  std::fflush(stdout);
  serve(session);
  // No orderly unmount: it would wait for those that wait for us. The mount namespace of the test
  // takes it along.
  ::_exit(0);
}
