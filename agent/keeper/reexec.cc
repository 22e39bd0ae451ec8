// A program that cannot go on from the state must never get into this process:
// there would be no way back. So it is asked first, as a child, with the very
// state that it will be given.

#include "agent/keeper/reexec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/keeper/child.h"
#include "agent/keeper/options.h"
#include "agent/keeper/state.h"
#include "base/os/errno_status.h"
#include "base/os/sealed_memfd.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"

namespace apm::keeper {
namespace {

namespace pb = ::apm::internal::v1;

constexpr int kCheckedFd = 3;  // The first that StartChild() gives.

std::vector<std::string> Argv(const std::string& program,
                              const std::vector<std::string>& args,
                              int state_fd) {
  std::vector<std::string> argv = {program};
  argv.insert(argv.end(), args.begin(), args.end());
  argv.push_back(std::string(kStateFdOption) + "=" + std::to_string(state_fd));
  return argv;
}

absl::Status HaveChecked(const std::string& program,
                         const std::vector<std::string>& args,
                         const UniqueFd& memfd) {
  std::vector<std::string> argv = Argv(program, args, kCheckedFd);
  argv.emplace_back(kCheckStateOption);
  const int fds[] = {memfd.get()};
  const Child child = StartChild(program, argv, fds, /*own_session=*/false);
  if (child.error != 0) {
    return ErrnoStatus(child.error, "execute '" + program + "'");
  }
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0)));
  pollfd end{pidfd.get(), POLLIN, 0};
  const auto patience_ms =
      static_cast<int>(absl::ToInt64Milliseconds(kCheckPatience));
  if (!pidfd || poll(&end, 1, patience_ms) != 1) {
    kill(child.pid, SIGKILL);  // And is reaped with the strays.
    return absl::DeadlineExceededError("'" + program +
                                       "' has not checked our state within " +
                                       absl::FormatDuration(kCheckPatience));
  }
  int status = 0;
  waitpid(child.pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kStateAccepted) {
    return absl::OkStatus();
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return absl::FailedPreconditionError(
        "'" + program +
        "' is not an apm-keeper that can take over: it did "
        "not say that it accepts our state");
  }
  return absl::FailedPreconditionError(
      "'" + program + "' cannot take over: its check " +
      (WIFSIGNALED(status)
           ? "was killed by signal " + std::to_string(WTERMSIG(status))
           : "exited with " + std::to_string(WEXITSTATUS(status))) +
      ", the log says why");
}

absl::Status Execute(const std::string& program,
                     const std::vector<std::string>& argv) {
  std::vector<char*> pointers;
  for (const std::string& argument : argv) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  execve(program.c_str(), pointers.data(), environ);
  return ErrnoStatus(errno, "execute '" + program + "'");
}

}  // namespace

absl::Status ReplaceProgram(const std::string& program,
                            const std::vector<std::string>& args,
                            const pb::KeeperState& state) {
  if (state.ByteSizeLong() > kMaxStateBytes) {
    return absl::ResourceExhaustedError("the agent has too much to read first");
  }
  APM_ASSIGN_OR_RETURN(
      const UniqueFd memfd,
      CreateSealedMemfd("apm-keeper-state", state.SerializeAsString()));
  APM_RETURN_IF_ERROR(HaveChecked(program, args, memfd));
  SetInheritable(state, true);
  fcntl(memfd.get(), F_SETFD, 0);
  const absl::Status failure =
      Execute(program, Argv(program, args, memfd.get()));
  SetInheritable(state, false);
  return failure;
}

absl::StatusOr<pb::KeeperState> ReadState(int fd) {
  APM_ASSIGN_OR_RETURN(const std::string bytes,
                       ReadSealedMemfd(fd, kMaxStateBytes));
  pb::KeeperState state;
  if (!state.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("the state of the keeper is malformed");
  }
  APM_RETURN_IF_ERROR(CheckState(state));
  return state;
}

void SetInheritable(const pb::KeeperState& state, bool inheritable) {
  for (const int fd : DescriptorsOf(state)) {
    fcntl(fd, F_SETFD, inheritable ? 0 : FD_CLOEXEC);
  }
}

}  // namespace apm::keeper
