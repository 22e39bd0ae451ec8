#include "agent/logs/log_reader.h"

#include <errno.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/logs/backward_lines.h"
#include "agent/logs/log_files.h"
#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::logs {

LastLinesSearch::LastLinesSearch(const LastLines& wanted)
    : wanted_(wanted),
      since_(wanted.since == absl::InfinitePast()
                 ? ""
                 : FormatTimestamp(wanted.since)) {}

absl::StatusOr<bool> LastLinesSearch::Search(const LogFile& file,
                                             const Visit& visit) {
  struct stat status {};
  if (fstat(file.fd.get(), &status) != 0) {
    return ErrnoStatus(errno, "read a log");
  }
  BackwardLines backward(file.fd.get(), static_cast<uint64_t>(status.st_size));
  // First what follows the last newline: nothing, or a line in the making.
  APM_RETURN_IF_ERROR(backward.Previous().status());
  while (found_ < wanted_.count &&
         scanned_ + backward.scanned() < wanted_.scan_bytes) {
    APM_ASSIGN_OR_RETURN(const std::optional<std::string_view> raw,
                         backward.Previous());
    if (!raw) {
      scanned_ += backward.scanned();
      return true;
    }
    const std::string_view timestamp = TimestampOf(*raw);
    if (!timestamp.empty() && timestamp < since_) return false;
    std::optional<LogLine> line = Match(*raw, wanted_.filter);
    if (!line) continue;
    ++found_;
    visit(backward.line_begin(), *std::move(line));
  }
  return false;
}

absl::StatusOr<std::vector<LogLine>> ReadLast(const std::string& path,
                                              const LastLines& wanted) {
  LastLines limited = wanted;
  limited.count = std::min(wanted.count, kMaxReadLines);
  LastLinesSearch search(limited);
  LogFileWalk walk(path);
  std::vector<LogLine> lines;
  size_t bytes = 0;
  bool full = false;
  for (bool any = false, more = true; more && !full; any = true) {
    APM_ASSIGN_OR_RETURN(const LogFilePtr file, walk.Older());
    if (!file && !any)
      return ErrnoStatus(ENOENT, "read the log '" + path + "'");
    if (!file) break;
    APM_ASSIGN_OR_RETURN(more,
                         search.Search(*file, [&](uint64_t, LogLine line) {
                           bytes += line.text.size();
                           full = full || bytes > kMaxReadBytes;
                           if (!full) lines.push_back(std::move(line));
                         }));
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

}  // namespace apm::logs
