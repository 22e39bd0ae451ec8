// A pass looks at every process once; passes are repeated until one finds
// nobody, since whoever was killed may have forked behind the pass's back.
//
// All of /proc, and not only the children of the keeper, to whom orphans fall:
// that list (/proc/<pid>/task/<tid>/children) is not reliable while processes
// come and go (proc(5)), which is just when a sweep is made. A pass over 500
// processes takes 3 to 4 ms; one pass serves all that have ended meanwhile.
//
// Identity: between the look at an environment and the kill the pid may have
// become another process's. So the look is repeated under a pidfd: if it still
// finds the tag, and the signal through the pidfd still reaches somebody, both
// were the same process.

#include "agent/process_sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <absl/time/time.h>

#include "agent/worker_environment.h"
#include "base/os/clock.h"
#include "base/os/unique_fd.h"

namespace apm::agent {
namespace {

// What is read of an environment. The kernel allows a process some megabytes
// of it (execve(2)); ours have the tag among the first variables.
constexpr size_t kMaxEnvironment = 256 * 1024;

// How many of those that were killed in a pass are waited for; the others the
// next pass meets again.
constexpr size_t kMaxAwaited = 64;

// A process in the middle of an exec has no environment yet.
constexpr int kExecPatience = 10;  // Looks, a millisecond apart.

constexpr unsigned kKernelThread = 0x00200000;  // PF_KTHREAD, linux/sched.h.

// /proc/<pid>/stat (proc(5)), fields 2, 3, 5, 6 and 9.
struct Stat {
  std::string command;
  char state = '?';
  pid_t group = 0;
  pid_t session = 0;
  unsigned flags = 0;
};

UniqueFd OpenOf(pid_t pid, const char* file) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  return UniqueFd(open(path, O_RDONLY | O_CLOEXEC));
}

std::optional<Stat> ReadStat(pid_t pid) {
  const UniqueFd fd = OpenOf(pid, "stat");
  char buffer[1024];
  const ssize_t size = fd ? read(fd.get(), buffer, sizeof buffer - 1) : -1;
  if (size <= 0) return std::nullopt;
  buffer[size] = '\0';
  // The command may contain spaces and parentheses.
  const char* const open_at = strchr(buffer, '(');
  const char* const close_at = strrchr(buffer, ')');
  if (open_at == nullptr || close_at == nullptr) return std::nullopt;
  Stat stat;
  stat.command.assign(open_at + 1, close_at);
  // NOLINTNEXTLINE(cert-err34-c): the kernel wrote it.
  if (sscanf(close_at + 1, " %c %*d %d %d %*d %*d %u", &stat.state, &stat.group,
             &stat.session, &stat.flags) != 4) {
    return std::nullopt;
  }
  return stat;
}

std::vector<pid_t> ListProcesses() {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  if (proc == nullptr) return pids;
  while (const dirent* const entry = readdir(proc.get())) {
    const std::string_view name(entry->d_name);
    pid_t pid = 0;
    const auto [end, error] =
        std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size()) {
      pids.push_back(pid);
    }
  }
  return pids;
}

// The value of APM_PROCESS in "NAME=value\0NAME=value\0"; one that is cut off
// by the end is none.
std::optional<std::string> FindTag(std::string_view environment) {
  while (true) {
    const size_t end = environment.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view entry = environment.substr(0, end);
    environment.remove_prefix(end + 1);
    if (!entry.starts_with(kProcessTagVariable)) continue;
    entry.remove_prefix(kProcessTagVariable.size());
    if (entry.starts_with('=')) return std::string(entry.substr(1));
  }
}

std::string WhyItWasLeft(pid_t pid, const Stat& stat) {
  if (stat.session == pid) return "had started a session of its own";
  if (stat.group == pid) return "had started a process group of its own";
  return "had left the process group of its worker";
}

class Sweeper {
 public:
  // Says of a tag whether it is meant.
  using Matcher = std::function<bool(std::string_view tag)>;
  // Says whether a process is to be named in the report.
  using Filter = std::function<bool(std::string_view tag, const Stat& stat)>;

  Sweeper(Matcher is_meant, Filter is_reported, const SweepLimits& limits)
      : is_meant_(std::move(is_meant)),
        is_reported_(std::move(is_reported)),
        limits_(limits) {}

  SweepReport Run() {
    for (int looks_at_execs = 0; looks_at_execs < kExecPatience;) {
      if (IsOutOfLimits()) {
        report_.complete = false;
        break;
      }
      const size_t kills_before = kills_;
      const bool all_decided = LookAtAll();
      if (kills_ > kills_before) {
        AwaitEnds();
      } else if (all_decided) {
        break;
      } else {
        ++looks_at_execs;
        poll(nullptr, 0, /*timeout ms=*/1);
      }
    }
    return std::move(report_);
  }

 private:
  absl::Duration Left() const { return deadline_ - clock_.Monotonic(); }
  bool IsOutOfLimits() const {
    return kills_ >= limits_.kills || Left() <= absl::ZeroDuration();
  }

  // True if it is known of every process whether it is meant.
  bool LookAtAll() {
    bool all_decided = true;
    for (const pid_t pid : ListProcesses()) {
      if (pid == 1 || pid == self_) continue;
      const std::optional<std::string> tag = LookAt(pid, all_decided);
      if (!tag || !is_meant_(*tag)) continue;
      all_decided &= Kill(pid, *tag);
      if (IsOutOfLimits()) break;
    }
    return all_decided;
  }

  std::optional<std::string> LookAt(pid_t pid, bool& decided) {
    // Twice: in the middle of an exec a process has no environment to show, and
    // by the time its state is read it may be through with it, and asleep.
    for (int look = 0; look < 2; ++look) {
      const UniqueFd fd = OpenOf(pid, "environ");
      if (!fd) return std::nullopt;  // It has ended, or is none of ours.
      const ssize_t size = read(fd.get(), buffer_.get(), kMaxEnvironment);
      if (size < 0) return std::nullopt;
      if (size > 0) return FindTag({buffer_.get(), static_cast<size_t>(size)});
      const std::optional<Stat> stat = ReadStat(pid);
      if (!stat || (stat->flags & kKernelThread) != 0 || stat->state == 'Z') {
        return std::nullopt;
      }
      if (stat->state == 'R' || stat->state == 'D') {
        decided = false;  // It may be about to get one.
        return std::nullopt;
      }
    }
    return std::nullopt;  // It was started without.
  }

  // False if it cannot be told any more, or not yet, whether it is meant.
  bool Kill(pid_t pid, const std::string& tag) {
    UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) return true;  // It has ended.
    const std::optional<Stat> stat = ReadStat(pid);
    bool decided = true;
    if (!stat || LookAt(pid, decided) != tag) return decided;
    if (syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0) {
      return true;
    }
    ++kills_;
    if (awaited_.size() < kMaxAwaited) awaited_.push_back(std::move(pidfd));
    // It may be met again while it dies.
    if (!named_.insert(pid).second || !is_reported_(tag, *stat)) return true;
    report_.killed.push_back(
        {tag, {pid, stat->command, WhyItWasLeft(pid, *stat)}});
    return true;
  }

  // A pidfd is readable when its process has ended.
  void AwaitEnds() {
    for (const UniqueFd& pidfd : std::exchange(awaited_, {})) {
      pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
      const auto left = absl::ToInt64Milliseconds(Left());
      if (left <= 0) return;
      poll(&end, 1, static_cast<int>(std::min<int64_t>(left, 60'000)));
    }
  }

  const Matcher is_meant_;
  const Filter is_reported_;
  const SweepLimits limits_;
  const SystemClock clock_;
  const absl::Duration deadline_ = clock_.Monotonic() + limits_.time;
  const pid_t self_ = getpid();
  const std::unique_ptr<char[]> buffer_ =
      std::make_unique_for_overwrite<char[]>(kMaxEnvironment);
  size_t kills_ = 0;
  std::vector<UniqueFd> awaited_;
  std::unordered_set<pid_t> named_;
  SweepReport report_;
};

}  // namespace

SweepReport SweepProcesses(std::span<const SweepTarget> targets,
                           const SweepLimits& limits) {
  std::unordered_map<std::string, pid_t> groups;  // By tag.
  for (const SweepTarget& target : targets) {
    if (ParseProcessTag(target.tag)) groups[target.tag] = target.group;
  }
  if (groups.empty()) return {};
  return Sweeper(
             [&](std::string_view tag) {
               return groups.contains(std::string(tag));
             },
             [&](std::string_view tag, const Stat& stat) {
               return stat.group != groups.at(std::string(tag));
             },
             limits)
      .Run();
}

SweepReport SweepDaemon(std::string_view daemon_id, const SweepLimits& limits) {
  if (!IsDaemonId(daemon_id)) return {};
  return Sweeper(
             [&](std::string_view text) {
               const std::optional<ProcessTag> tag = ParseProcessTag(text);
               return tag && tag->daemon_id == daemon_id;
             },
             [](std::string_view, const Stat&) { return true; }, limits)
      .Run();
}

}  // namespace apm::agent
