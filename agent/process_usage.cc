#include "agent/process_usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <absl/time/time.h>

#include "base/os/unique_fd.h"

namespace apm::agent {
namespace {

// Two looks closer than this share a percentage: with ticks of 10 ms anything
// shorter is noise.
constexpr absl::Duration kShortestInterval = absl::Milliseconds(500);

struct Stat {
  uint64_t cpu_ticks = 0;
  uint64_t start_ticks = 0;
  uint64_t rss_pages = 0;
};

// /proc/<pid>/stat (proc(5)): fields 14 utime, 15 stime, 22 starttime, 24 rss.
std::optional<Stat> ReadStat(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  char buffer[1024];
  const ssize_t size = read(fd.get(), buffer, sizeof buffer);
  if (size <= 0) return std::nullopt;
  std::string_view rest(buffer, static_cast<size_t>(size));
  const size_t end_of_command = rest.rfind(')');
  if (end_of_command == std::string_view::npos) return std::nullopt;
  rest.remove_prefix(end_of_command + 1);

  Stat stat;
  int field = 2;
  size_t at = 0;
  while (at < rest.size() && field < 24) {
    if (rest[at] == ' ') {
      ++field;
      uint64_t value = 0;
      for (size_t i = at + 1;
           i < rest.size() && rest[i] >= '0' && rest[i] <= '9'; ++i) {
        value = value * 10 + static_cast<uint64_t>(rest[i] - '0');
      }
      if (field == 14 || field == 15) stat.cpu_ticks += value;
      if (field == 22) stat.start_ticks = value;
      if (field == 24) stat.rss_pages = value;
    }
    ++at;
  }
  return stat;
}

}  // namespace

ProcessUsage UsageSampler::Look(pid_t pid, uint64_t start_ticks,
                                absl::Duration now) {
  if (pid <= 0) return {};
  const std::optional<Stat> stat = ReadStat(pid);
  if (!stat.has_value() || stat->start_ticks != start_ticks) {
    Forget(pid);
    return {};
  }
  static const auto ticks_per_second =
      static_cast<double>(sysconf(_SC_CLK_TCK));
  static const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

  Seen& seen = seen_[pid];
  if (seen.start_ticks != start_ticks) {
    // starttime counts from boot, as CLOCK_MONOTONIC does on a host that was
    // never suspended; elsewhere the first figure is a little low.
    seen = Seen{
        start_ticks, 0,
        absl::Seconds(static_cast<double>(start_ticks) / ticks_per_second), 0};
  }
  const absl::Duration passed = now - seen.at;
  if (passed >= kShortestInterval) {
    seen.percent = 100.0 *
                   static_cast<double>(stat->cpu_ticks - seen.cpu_ticks) /
                   ticks_per_second / absl::ToDoubleSeconds(passed);
    seen.cpu_ticks = stat->cpu_ticks;
    seen.at = now;
  }
  return ProcessUsage{seen.percent, stat->rss_pages * page_bytes};
}

}  // namespace apm::agent
