#include "agent/logs/log_position.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "agent/logs/log_line.h"

namespace apm::logs {
namespace {

// The time of the first line is in them, in both formats.
constexpr uint64_t kHeadBytes = kTimeEnd;

// Takes a hexadecimal number up to `end` (or the end of the text) off `rest`.
bool TakeNumber(std::string_view& rest, char end, uint64_t& number) {
  const std::string_view digits = rest.substr(0, rest.find(end));
  const char* const last = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), last, number, 16);
  if (result.ec != std::errc() || result.ptr != last) return false;
  rest.remove_prefix(std::min(digits.size() + 1, rest.size()));
  return true;
}

}  // namespace

uint64_t HashHead(const LogFile& file, uint64_t offset) {
  char head[kHeadBytes];
  const auto size = static_cast<size_t>(std::min(kHeadBytes, offset));
  if (pread(file.fd.get(), head, size, 0) != static_cast<ssize_t>(size)) {
    return 0;
  }
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char byte : std::string_view(head, size)) {
    hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  }
  return hash;
}

bool IsIn(const LogPosition& position, const LogFile& file) {
  return position.inode == file.inode &&
         position.head == HashHead(file, position.offset);
}

std::string FormatPosition(const LogPosition& position) {
  return absl::StrFormat("%x.%x.%x", position.inode, position.offset,
                         position.head);
}

absl::StatusOr<LogPosition> ParsePosition(std::string_view text) {
  LogPosition position;
  if (!TakeNumber(text, '.', position.inode) ||
      !TakeNumber(text, '.', position.offset) ||
      !TakeNumber(text, '.', position.head) || !text.empty()) {
    return absl::InvalidArgumentError(
        "this is no position in a log; give back what a FollowLogResponse had");
  }
  return position;
}

}  // namespace apm::logs
