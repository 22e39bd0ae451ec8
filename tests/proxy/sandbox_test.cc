#include "proxy/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include <absl/status/statusor.h>
#include <gtest/gtest.h>

namespace apm::proxy {
namespace {

// What a call answers in a process whose sandbox is closed: 0 or errno. The
// child is a plain fork, and says it by its exit status.
int InSandbox(const std::function<long()>& call) {
  const pid_t child = fork();
  if (child == 0) {
    TouchLazyThings();
    if (!DropPrivileges().ok() || !CloseSandbox().ok()) _exit(255);
    errno = 0;
    _exit(call() < 0 ? errno : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(SandboxTest, OpensNoFile) {
  EXPECT_EQ(InSandbox([] { return open("/dev/null", O_RDONLY); }), EPERM);
  EXPECT_EQ(InSandbox([] { return openat(AT_FDCWD, "/etc/passwd", O_RDONLY); }),
            EPERM);
}

TEST(SandboxTest, MakesNoSocket) {
  EXPECT_EQ(InSandbox([] { return socket(AF_INET, SOCK_STREAM, 0); }), EPERM);
}

TEST(SandboxTest, BindsAndConnectsNothing) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  const auto* address = reinterpret_cast<const sockaddr*>(&any);
  EXPECT_EQ(InSandbox([&] { return bind(fd, address, sizeof any); }), EPERM);
  EXPECT_EQ(InSandbox([&] { return connect(fd, address, sizeof any); }), EPERM);
  EXPECT_EQ(InSandbox([&] { return listen(fd, 1); }), EPERM);
  close(fd);
}

TEST(SandboxTest, StartsNoProcess) {
  EXPECT_EQ(InSandbox([] { return fork(); }), EPERM);
  EXPECT_EQ(InSandbox([] {
              char program[] = "/bin/true";
              char* argv[] = {program, nullptr};
              return execv(program, argv);
            }),
            EPERM);
}

TEST(SandboxTest, SignalsAndTracesNobody) {
  const pid_t parent = getpid();
  EXPECT_EQ(InSandbox([&] { return kill(parent, 0); }), EPERM);
  EXPECT_EQ(InSandbox([&] { return syscall(SYS_ptrace, 16, parent, 0, 0); }),
            EPERM);
}

TEST(SandboxTest, MakesNoMemoryExecutable) {
  const auto map = [](int protection) {
    return [protection]() -> long {
      return mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                  0) == MAP_FAILED
                 ? -1
                 : 0;
    };
  };
  EXPECT_EQ(InSandbox(map(PROT_READ | PROT_WRITE)), 0);
  EXPECT_EQ(InSandbox(map(PROT_READ | PROT_EXEC)), EPERM);
}

TEST(SandboxTest, GivesUpRootAndEveryCapability) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to give up";
  EXPECT_EQ(InSandbox([]() -> long {
              errno = EINVAL;
              return getuid() == 0 ? -1 : 0;
            }),
            0);
  EXPECT_EQ(InSandbox([] { return setuid(0); }), EPERM);
}

TEST(SandboxTest, GoesOnReadingAndWriting) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(InSandbox([&]() -> long {
              char byte = 'x';
              return write(ends[1], &byte, 1) == 1 &&
                             read(ends[0], &byte, 1) == 1
                         ? 0
                         : -1;
            }),
            0);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace apm::proxy
