// The lines of a file from its end to its beginning.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace apm::logs {

// Reads `fd` up to `size` in blocks, as far as it is asked. Keeps a block and
// a line of kMaxStoredLineBytes at most; longer ones are no lines of ours and
// come out empty.
class BackwardLines {
 public:
  BackwardLines(int fd, uint64_t size) : fd_(fd), block_begin_(size) {}

  // The line before the last one returned, without its newline; nullopt at the
  // beginning of the file. Valid until the next call. What follows the last
  // newline of the file comes first: nothing, or a line in the making.
  absl::StatusOr<std::optional<std::string_view>> Previous();

  // Where the line returned last begins in the file.
  uint64_t line_begin() const { return line_begin_; }

  // How many bytes were read.
  size_t scanned() const { return scanned_; }

 private:
  // Puts the block before buffer_ in front of what is left of it.
  absl::Status LoadBlock();

  const int fd_;
  uint64_t block_begin_;  // Of buffer_ in the file.
  std::string buffer_;
  size_t end_ = 0;  // What is left of buffer_.
  uint64_t line_begin_ = 0;
  size_t scanned_ = 0;
  bool overlong_ = false;  // The end of the current line was thrown away.
  bool at_start_ = false;
};

}  // namespace apm::logs
