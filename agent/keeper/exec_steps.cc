#include "agent/keeper/exec_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <google/protobuf/repeated_ptr_field.h>

#include "base/fault/fault.h"
#include "base/os/unique_fd.h"

namespace apm::keeper {
namespace {

using Result = std::optional<StepFailure>;  // Nothing: the step succeeded.
using internal::v1::ExecSpec;

// What most programs expect; those with select() break above it.
constexpr rlim_t kDefaultOpenFiles = 1024;

Result Failed(std::string step, std::string detail) {
  return StepFailure{std::move(step), errno, std::move(detail)};
}

std::string LimitName(uint32_t resource) {
  switch (resource) {
    case RLIMIT_AS:
      return "RLIMIT_AS";
    case RLIMIT_CORE:
      return "RLIMIT_CORE";
    case RLIMIT_CPU:
      return "RLIMIT_CPU";
    case RLIMIT_DATA:
      return "RLIMIT_DATA";
    case RLIMIT_FSIZE:
      return "RLIMIT_FSIZE";
    case RLIMIT_MEMLOCK:
      return "RLIMIT_MEMLOCK";
    case RLIMIT_NOFILE:
      return "RLIMIT_NOFILE";
    case RLIMIT_NPROC:
      return "RLIMIT_NPROC";
    case RLIMIT_STACK:
      return "RLIMIT_STACK";
    default:
      return "limit " + std::to_string(resource);
  }
}

// What we may have inherited and a service must not. None of it can fail in
// a way that the worker would have to know.
void ResetInherited() {
  fault::Point("exec.reset");
  // The bare call, with the kernel's structure of four words, all zero:
  // SIG_DFL. glibc's refuses the two signals that it keeps for itself (32 and
  // 33).
  constexpr size_t kMaskBytes = _NSIG / 8;
  constexpr uint64_t kDefaultAction[4] = {};
  for (int signal = 1; signal < _NSIG; ++signal) {
    syscall(SYS_rt_sigaction, signal, kDefaultAction, nullptr, kMaskBytes);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  umask(022);
  setpriority(PRIO_PROCESS, 0, 0);
  const UniqueFd score(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score) [[maybe_unused]]
    const ssize_t ignored = write(score.get(), "0", 1);

  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min(kDefaultOpenFiles, files.rlim_max);
  setrlimit(RLIMIT_NOFILE, &files);
}

Result NewSession() {
  fault::Point("exec.setsid");
  if (setsid() < 0) return Failed("setsid", "");
  return std::nullopt;
}

Result SetLimits(const ExecSpec& spec) {
  fault::Point("exec.rlimit");
  for (const internal::v1::Rlimit& limit : spec.rlimits()) {
    const rlimit values{limit.soft(), limit.hard()};
    if (limit.resource() >= RLIMIT_NLIMITS) {
      errno = EINVAL;
      return Failed("rlimit", LimitName(limit.resource()));
    }
    const auto resource = static_cast<__rlimit_resource>(limit.resource());
    if (setrlimit(resource, &values) != 0) {
      return Failed("rlimit", LimitName(limit.resource()));
    }
  }
  return std::nullopt;
}

Result ChangeUser(const ExecSpec& spec) {
  fault::Point("exec.user");
  if (!spec.change_user()) return std::nullopt;
  // To the kernel -1 means "leave it": the worker would keep our own user.
  if (spec.uid() == UINT32_MAX || spec.gid() == UINT32_MAX) {
    errno = EINVAL;
    return Failed("user", "uid or gid 4294967295");
  }
  const std::vector<gid_t> groups(spec.groups().begin(), spec.groups().end());
  if (setgroups(groups.size(), groups.data()) != 0) {
    return Failed("user", "supplementary groups");
  }
  if (setresgid(spec.gid(), spec.gid(), spec.gid()) != 0) {
    return Failed("user", "gid " + std::to_string(spec.gid()));
  }
  if (setresuid(spec.uid(), spec.uid(), spec.uid()) != 0) {
    return Failed("user", "uid " + std::to_string(spec.uid()));
  }
  return std::nullopt;
}

Result EnterFolder(const ExecSpec& spec) {
  fault::Point("exec.chdir");
  if (!spec.cwd().empty() && chdir(spec.cwd().c_str()) != 0) {
    return Failed("chdir", spec.cwd());
  }
  return std::nullopt;
}

Result SetStdio(int stdio) {
  fault::Point("exec.stdio");
  for (int target = 0; target < 3; ++target) {
    if (dup2(stdio + target, target) < 0) {
      return Failed("stdio", "descriptor " + std::to_string(target));
    }
  }
  if (close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) != 0) {
    return Failed("stdio", "close-on-exec of all other descriptors");
  }
  return std::nullopt;
}

std::vector<char*> Pointers(
    const google::protobuf::RepeatedPtrField<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) {
    pointers.push_back(const_cast<char*>(string.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

StepFailure Execute(const ExecSpec& spec) {
  fault::Point("exec.exec");
  if (spec.argv().empty()) {
    return {"exec", EINVAL, "argv of '" + spec.executable() + "' is empty"};
  }
  execve(spec.executable().c_str(), Pointers(spec.argv()).data(),
         Pointers(spec.env()).data());
  return *Failed("exec", spec.executable());
}

}  // namespace

StepFailure BecomeWorker(const ExecSpec& spec, int stdio) {
  ResetInherited();
  Result failure = NewSession();
  if (!failure) failure = SetLimits(spec);
  if (!failure) failure = ChangeUser(spec);
  if (!failure) failure = EnterFolder(spec);
  if (!failure) failure = SetStdio(stdio);
  return failure ? *failure : Execute(spec);
}

}  // namespace apm::keeper
