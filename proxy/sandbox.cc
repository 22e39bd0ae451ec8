// An allow-list, since a deny-list is out of date at the next kernel. EPERM
// and not a kill: a library that tries something new (a cache file, a thread)
// must degrade, not take every client's connection with it.
//
// Filters see numbers, not what pointers point to; where one call does both
// what we need and what we refuse, its arguments decide (mmap without
// PROT_EXEC, newfstatat of an empty path, tgkill of ourselves for abort()).

#include "proxy/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::proxy {
namespace {

constexpr const char* kAllowed[] = {
    // Descriptors we hold.
    "read", "write", "readv", "writev", "pread64", "close", "fcntl", "fstat",
    "lseek", "dup",
    // Sockets we hold, and those that come out of them.
    "recvmsg", "sendmsg", "recvfrom", "sendto", "accept4", "shutdown",
    "getsockopt", "setsockopt", "getsockname", "getpeername",
    // Waiting.
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "poll", "ppoll",
    "eventfd2", "timerfd_create", "timerfd_settime", "futex", "restart_syscall",
    // Memory.
    "brk", "munmap", "mremap", "madvise",
    // Time, chance and ourselves.
    "clock_gettime", "gettimeofday", "time", "getrandom", "getpid", "gettid",
    "getuid", "sched_yield", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "exit", "exit_group"};

struct FilterDeleter {
  void operator()(void* filter) const { seccomp_release(filter); }
};

absl::Status Allow(scmp_filter_ctx filter, const char* name) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number < 0) return absl::OkStatus();  // Not on this architecture.
  const int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
  if (result != 0) return ErrnoStatus(-result, "allow a system call");
  return absl::OkStatus();
}

absl::Status AllowIf(scmp_filter_ctx filter, int number, scmp_arg_cmp test) {
  const int result =
      seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &test);
  if (result != 0) return ErrnoStatus(-result, "allow a system call");
  return absl::OkStatus();
}

// setresuid() alone leaves what a file or an ambient set has given.
absl::Status ClearCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2]{};
  if (syscall(SYS_capset, &header, none) != 0) {
    return ErrnoStatus(errno, "give up capabilities");
  }
  return absl::OkStatus();
}

absl::Status BecomeUser(uid_t uid, gid_t gid) {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0 &&
                           prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;
       ++capability) {
  }
  if (setgroups(0, nullptr) != 0) return ErrnoStatus(errno, "drop groups");
  if (setresgid(gid, gid, gid) != 0) {
    return ErrnoStatus(errno, absl::StrFormat("become gid %d", gid));
  }
  if (setresuid(uid, uid, uid) != 0) {
    return ErrnoStatus(errno, absl::StrFormat("become uid %d", uid));
  }
  return absl::OkStatus();
}

}  // namespace

void TouchLazyThings() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  tzset();
  const time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
}

absl::StatusOr<Identity> DropPrivileges() {
  Identity identity{getuid(), {}};
  if (identity.uid == 0) {
    identity.uid = kFallbackUid;
    gid_t gid = kFallbackUid;
    if (const passwd* user = getpwnam(kProxyUser); user != nullptr) {
      identity.uid = user->pw_uid;
      gid = user->pw_gid;
    } else {
      identity.warning = absl::StrFormat(
          "there is no user '%s': the proxy runs as uid %d; create the user "
          "with: useradd --system --no-create-home --shell /usr/sbin/nologin "
          "%s",
          kProxyUser, kFallbackUid, kProxyUser);
    }
    APM_RETURN_IF_ERROR(BecomeUser(identity.uid, gid));
  }
  APM_RETURN_IF_ERROR(ClearCapabilities());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "forbid new privileges");
  }
  return identity;
}

absl::Status CloseSandbox() {
  std::unique_ptr<void, FilterDeleter> filter(
      seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return absl::InternalError("no memory for the sandbox");
  for (const char* name : kAllowed) {
    APM_RETURN_IF_ERROR(Allow(filter.get(), name));
  }
  // Without the bit PROT_EXEC.
  const scmp_arg_cmp not_executable{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
  for (const int number : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    APM_RETURN_IF_ERROR(AllowIf(filter.get(), number, not_executable));
  }
  // glibc's fstat() and abort().
  const scmp_arg_cmp empty_path{3, SCMP_CMP_EQ, AT_EMPTY_PATH, 0};
  APM_RETURN_IF_ERROR(AllowIf(filter.get(), SCMP_SYS(newfstatat), empty_path));
  const scmp_arg_cmp ourselves{0, SCMP_CMP_EQ,
                               static_cast<scmp_datum_t>(getpid()), 0};
  APM_RETURN_IF_ERROR(AllowIf(filter.get(), SCMP_SYS(tgkill), ourselves));
  const int result = seccomp_load(filter.get());
  if (result != 0) return ErrnoStatus(-result, "close the sandbox");
  return absl::OkStatus();
}

}  // namespace apm::proxy
