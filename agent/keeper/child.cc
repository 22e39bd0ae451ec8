// vfork and not fork: nothing is copied, the cost does not grow with us, and a
// failing exec is known at once, since the child writes to our memory and we
// do not run until it has gone. In exchange the child may do nothing but
// system calls on memory prepared before.

#include "agent/keeper/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace apm::keeper {
namespace {

constexpr int kFirstFd = 3;

struct Prepared {
  const char* path;
  char* const* argv;
  std::span<const int> fds;
  std::span<int> copies;  // Room for fds.size() numbers.
  bool own_session;
};

// First to numbers that are nobody's target, then to the targets: a source
// may have the number of another one's target. dup2() clears close-on-exec.
bool PlaceFds(const Prepared& child) {
  const int above = kFirstFd + static_cast<int>(child.fds.size());
  for (size_t i = 0; i < child.fds.size(); ++i) {
    child.copies[i] = fcntl(child.fds[i], F_DUPFD_CLOEXEC, above);
    if (child.copies[i] < 0) return false;
  }
  for (size_t i = 0; i < child.fds.size(); ++i) {
    if (dup2(child.copies[i], kFirstFd + static_cast<int>(i)) < 0) return false;
  }
  return true;
}

// Runs in the child, on the parent's memory.
[[noreturn, gnu::noinline]] void Execute(const Prepared& child,
                                         volatile int* error) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGPIPE, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (child.own_session) setsid();
  if (PlaceFds(child)) execve(child.path, child.argv, environ);
  *error = errno;
  _exit(127);
}

}  // namespace

Child StartChild(const std::string& path, std::span<const std::string> argv,
                 std::span<const int> fds, bool own_session) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  std::vector<int> copies(fds.size());
  const Prepared prepared{path.c_str(), arguments.data(), fds, copies,
                          own_session};
  volatile int error = 0;
  // NOLINTBEGIN(clang-analyzer-*): the rules are known, see the top.
  const pid_t pid = vfork();
  if (pid == 0) Execute(prepared, &error);
  // NOLINTEND(clang-analyzer-*)
  if (pid < 0) return {-1, errno};
  // What is left of a child that could not exec is reaped with the strays.
  if (error != 0) return {-1, error};
  return {pid, 0};
}

}  // namespace apm::keeper
