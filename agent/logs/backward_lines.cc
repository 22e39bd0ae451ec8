#include "agent/logs/backward_lines.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/logs/log_line.h"
#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::logs {
namespace {

constexpr uint64_t kBlockBytes = uint64_t{128} << 10;

}  // namespace

absl::StatusOr<std::optional<std::string_view>> BackwardLines::Previous() {
  while (!at_start_) {
    const size_t newline =
        std::string_view(buffer_).substr(0, end_).rfind('\n');
    if (newline != std::string_view::npos) {
      const std::string_view line =
          std::string_view(buffer_).substr(newline + 1, end_ - newline - 1);
      line_begin_ = block_begin_ + newline + 1;
      end_ = newline;
      return std::exchange(overlong_, false) ? std::string_view() : line;
    }
    if (block_begin_ == 0) {
      at_start_ = true;
      line_begin_ = 0;
      return std::string_view(buffer_).substr(0, overlong_ ? 0 : end_);
    }
    APM_RETURN_IF_ERROR(LoadBlock());
  }
  return std::nullopt;
}

absl::Status BackwardLines::LoadBlock() {
  if (end_ > kMaxStoredLineBytes) {
    overlong_ = true;
    end_ = 0;
  }
  const auto size = static_cast<size_t>(std::min(kBlockBytes, block_begin_));
  std::string block(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t n = pread(fd_, block.data() + filled, size - filled,
                            static_cast<off_t>(block_begin_ - size + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read a log");
    if (n == 0) return absl::AbortedError("the log was cut meanwhile");
    filled += static_cast<size_t>(n);
  }
  block.append(buffer_, 0, end_);
  buffer_ = std::move(block);
  end_ = buffer_.size();
  block_begin_ -= size;
  scanned_ += size;
  return absl::OkStatus();
}

}  // namespace apm::logs
