// apm-keeper: see keeper.h. Here: the command line, and the state of the
// process that everything else relies on.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <span>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/keeper/keeper.h"
#include "agent/keeper/log.h"
#include "agent/keeper/options.h"
#include "agent/keeper/pid_file.h"
#include "agent/keeper/reexec.h"
#include "apm/internal/v1/keeper_state.pb.h"
#include "base/os/errno_status.h"
#include "base/os/event_loop.h"
#include "base/os/signal_fd.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"
#include "base/version.h"

namespace apm::keeper {
namespace {

// Nothing inherited but 0, 1 and 2, and these three open, so that no later
// descriptor takes one of their numbers.
void CloseInheritedFds() {
  // NOLINTBEGIN(android-cloexec-*): the three are for our children too.
  int fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = dup(fd);
  // NOLINTEND(android-cloexec-*)
  close_range(STDERR_FILENO + 1, UINT_MAX, 0);
}

absl::Status RedirectStdio(const std::string& log_file) {
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  dup2(null.get(), STDIN_FILENO);
  if (log_file == "-") return absl::OkStatus();
  const UniqueFd log(open(log_file.c_str(),
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY,
                          0640));
  if (!log) {
    return absl::FailedPreconditionError("open log file '" + log_file +
                                         "': " + ErrnoText(errno) +
                                         "; choose another with --log-file");
  }
  dup2(log.get(), STDOUT_FILENO);
  dup2(log.get(), STDERR_FILENO);
  return absl::OkStatus();
}

// The folder that our own program, and so its siblings, are in.
absl::StatusOr<std::string> ProgramFolder() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) return ErrnoStatus(errno, "read '/proc/self/exe'");
  std::string folder(path, static_cast<size_t>(size));
  folder.resize(folder.rfind('/'));
  for (const char* program : {"/apm-agent", "/apm-proxy", "/apm-exec"}) {
    const std::string sibling = folder + program;
    if (access(sibling.c_str(), X_OK) != 0) {
      return ErrnoStatus(errno,
                         "apm-agent, apm-proxy and apm-exec must be in the "
                         "folder of apm-keeper: find '" +
                             sibling + "'");
    }
  }
  return folder;
}

// Not fatal: most hosts allow all of it, and each says by itself what it
// costs.
void PrepareProcess() {
  umask(027);
  // Whoever started us may have ignored some: with SIGCHLD ignored there would
  // be nothing to reap, and no exit status.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  signal(SIGPIPE, SIG_IGN);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    LogWarning("cannot adopt orphans: " + ErrnoText(errno));
  }
  // Descriptors are what we are for; apm-exec gives workers the usual number.
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
    LogWarning("cannot raise the number of open files: " + ErrnoText(errno));
  }
}

// None if it cannot be written; kAlreadyExists if a keeper runs.
absl::StatusOr<PidFile> ClaimPidFile(const Options& options) {
  std::string path = options.pid_file;
  if (path.empty()) {
    const char* home = getenv("HOME");
    path = DefaultPidFile(options, home != nullptr ? home : "");
    if (path.empty()) {
      LogWarning("no PID file is written: HOME is not set; use --pid-file");
      return PidFile();
    }
    // The folder and those above it; whether that worked is seen below.
    for (size_t end = path.find('/', 1); end != std::string::npos;
         end = path.find('/', end + 1)) {
      mkdir(path.substr(0, end).c_str(), 0700);
    }
  }
  if (const pid_t pid = PidFile::Holder(path); pid != 0) {
    return absl::AlreadyExistsError(
        "apm-keeper runs already with pid " + std::to_string(pid) + ", says '" +
        path +
        "'; stop it with 'apmctl kill', or give this one its own --state-dir");
  }
  const bool stale = access(path.c_str(), F_OK) == 0;
  const pid_t left_by = PidFile::Read(path);
  absl::StatusOr<PidFile> file = PidFile::Write(path);
  if (!file.ok()) {
    LogWarning("no PID file is written: " +
               std::string(file.status().message()));
    return PidFile();
  }
  if (stale) {
    LogInfo("replaced the stale PID file '" + path + "', left by pid " +
            std::to_string(left_by));
  }
  return file;
}

struct EventSources {
  UniqueFd signals;
  std::unique_ptr<EventLoop> loop;
};

absl::StatusOr<EventSources> OpenEventSources() {
  APM_ASSIGN_OR_RETURN(UniqueFd signals,
                       CreateSignalFd({SIGTERM, SIGINT, SIGHUP, SIGCHLD}));
  APM_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  return EventSources{std::move(signals), std::move(loop)};
}

int RunToTheEnd(Keeper& keeper, PidFile& pid_file) {
  const int exit_status = keeper.Run();
  pid_file.Remove();
  LogInfo("stopped");
  return exit_status;
}

absl::StatusOr<int> Start(const Options& options) {
  APM_RETURN_IF_ERROR(RedirectStdio(options.log_file));
  PrepareProcess();
  APM_ASSIGN_OR_RETURN(const std::string folder, ProgramFolder());
  APM_ASSIGN_OR_RETURN(EventSources events, OpenEventSources());
  APM_ASSIGN_OR_RETURN(PidFile pid_file, ClaimPidFile(options));
  Keeper keeper(*events.loop, std::move(events.signals), pid_file,
                {folder, options.args, options.agent_args});
  keeper.Start();
  return RunToTheEnd(keeper, pid_file);
}

// Goes on where the program that this one replaces has stopped.
absl::StatusOr<int> GoOn(const Options& options) {
  UniqueFd memfd(options.state_fd);
  APM_ASSIGN_OR_RETURN(const internal::v1::KeeperState state,
                       ReadState(memfd.get()));
  if (options.check_state) return kStateAccepted;
  memfd.Reset();
  SetInheritable(state, false);
  PrepareProcess();
  APM_ASSIGN_OR_RETURN(EventSources events, OpenEventSources());
  PidFile pid_file;
  if (!state.pid_file().path().empty()) {
    pid_file =
        PidFile(state.pid_file().path(), UniqueFd(state.pid_file().fd()));
  }
  Keeper keeper(*events.loop, std::move(events.signals), pid_file,
                {state.folder(), options.args, options.agent_args});
  APM_RETURN_IF_ERROR(keeper.TakeOver(state));
  return RunToTheEnd(keeper, pid_file);
}

int Main(std::span<const char* const> args) {
  const absl::StatusOr<Options> options = ParseOptions(args);
  const bool goes_on = options.ok() && options->state_fd >= 0;
  if (!goes_on) CloseInheritedFds();  // Else they are all ours.
  if (!options.ok()) {
    fprintf(stderr, "apm-keeper: %s; see apm-keeper --help\n",
            std::string(options.status().message()).c_str());
    return 2;
  }
  if (options->help) {
    fputs(std::string(kUsage).c_str(), stdout);
    return 0;
  }
  if (options->version) {
    printf("apm-keeper %s\n", kVersion);
    return 0;
  }
  const absl::StatusOr<int> exit_status =
      goes_on ? GoOn(*options) : Start(*options);
  if (exit_status.ok()) return *exit_status;
  LogError(std::string(exit_status.status().message()));
  return 1;
}

}  // namespace
}  // namespace apm::keeper

int main(int argc, char** argv) {
  if (argc < 1) return 2;
  return apm::keeper::Main({argv + 1, argv + argc});
}
