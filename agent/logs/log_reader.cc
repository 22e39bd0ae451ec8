#include "agent/logs/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"

namespace apm::logs {
namespace {

constexpr size_t kBlockBytes = size_t{128} << 10;
// Longer than any line of ours: not worth keeping.
constexpr size_t kMaxStoredLineBytes = kMaxLineBytes + 128;

// The lines of a file from its end to its beginning.
class BackwardLines {
 public:
  BackwardLines(int fd, size_t size) : fd_(fd), offset_(size) {}

  // The line before the last one returned, without its newline; nullopt at the
  // beginning of the file. Valid until the next call. What follows the last
  // newline of the file comes first.
  absl::StatusOr<std::optional<std::string_view>> Previous() {
    while (!at_start_) {
      const size_t newline =
          std::string_view(buffer_).substr(0, end_).rfind('\n');
      if (newline != std::string_view::npos) {
        const std::string_view line =
            std::string_view(buffer_).substr(newline + 1, end_ - newline - 1);
        end_ = newline;
        return std::exchange(overlong_, false) ? std::string_view() : line;
      }
      if (offset_ == 0) {
        at_start_ = true;
        return std::string_view(buffer_).substr(0, overlong_ ? 0 : end_);
      }
      APM_RETURN_IF_ERROR(LoadBlock());
    }
    return std::nullopt;
  }

  size_t scanned() const { return scanned_; }

 private:
  // Puts the block before the buffer's first byte in front of what is left.
  absl::Status LoadBlock() {
    if (end_ > kMaxStoredLineBytes) {
      overlong_ = true;
      end_ = 0;
    }
    const size_t size = std::min(kBlockBytes, offset_);
    std::string block(size, '\0');
    size_t filled = 0;
    while (filled < size) {
      const ssize_t n = pread(fd_, block.data() + filled, size - filled,
                              static_cast<off_t>(offset_ - size + filled));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, "read");
      if (n == 0) return absl::AbortedError("the file was cut meanwhile");
      filled += static_cast<size_t>(n);
    }
    block.append(buffer_, 0, end_);
    buffer_ = std::move(block);
    end_ = buffer_.size();
    offset_ -= size;
    scanned_ += size;
    return absl::OkStatus();
  }

  const int fd_;
  size_t offset_;  // Where buffer_ begins in the file.
  std::string buffer_;
  size_t end_ = 0;  // What is left of buffer_.
  size_t scanned_ = 0;
  bool overlong_ = false;  // The end of the current line was thrown away.
  bool at_start_ = false;
};

std::optional<LogLine> Match(std::string_view raw, const LogFilter& filter) {
  // Cheap before dear: most lines fall here.
  if (raw.find(filter.contains) == std::string_view::npos) return std::nullopt;
  std::optional<LogLine> line = ParseLine(raw);
  if (!line || (filter.instance && line->instance != *filter.instance) ||
      (filter.stream && line->stream != *filter.stream) ||
      line->text.find(filter.contains) == std::string::npos) {
    return std::nullopt;
  }
  return line;
}

}  // namespace

absl::StatusOr<std::vector<LogLine>> ReadLast(const std::string& path,
                                              size_t count,
                                              const LogFilter& filter) {
  const std::string action = absl::StrFormat("read the log '%s'", path);
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0) return ErrnoStatus(errno, action);
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(action + ": not a regular file");
  }

  count = std::min(count, kMaxReadLines);
  std::vector<LogLine> lines;
  size_t bytes = 0;
  BackwardLines backward(fd.get(), static_cast<size_t>(status.st_size));
  // First what follows the last newline: nothing, or a line in the making.
  APM_RETURN_IF_ERROR(backward.Previous().status());
  while (lines.size() < count && backward.scanned() < kMaxScanBytes) {
    APM_ASSIGN_OR_RETURN(const std::optional<std::string_view> raw,
                         backward.Previous());
    if (!raw) break;
    std::optional<LogLine> line = Match(*raw, filter);
    if (!line) continue;
    bytes += line->text.size();
    if (bytes > kMaxReadBytes) break;
    lines.push_back(*std::move(line));
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

}  // namespace apm::logs
