// Where a worker's print() goes: what it wrote to its stdout between frames,
// whole lines, to the agent's log thread; the lines of its `log` frames too.
//
// Never blocks and never grows without bound: a reader that does not keep up
// loses lines, and they are counted.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::upstream {

// Lines that wait for the reader; also the longest line kept in one piece.
inline constexpr size_t kMaxStrayBytes = size_t{64} << 10;

// Owned by an instance. Thread: the shard's.
class StrayPipe {
 public:
  // `loop` outlives the pipe; `pipe` may be any descriptor that can be written.
  StrayPipe(EventLoop& loop, UniqueFd pipe);
  StrayPipe(const StrayPipe&) = delete;
  StrayPipe& operator=(const StrayPipe&) = delete;
  // Ends an unfinished line and tries once more to write.
  ~StrayPipe();

  // Writes to `pipe` from here on, also what waits.
  void Use(UniqueFd pipe);

  // Takes bytes that were cut anywhere. Returns how many were dropped.
  size_t Write(std::string_view bytes);

  // Takes a line with its end; an unfinished one of Write() is not touched.
  // Returns how many bytes were dropped.
  size_t WriteLine(std::string_view line);

 private:
  size_t Keep(std::string_view line);
  void Flush();
  void Watch(bool on);

  EventLoop& loop_;
  UniqueFd pipe_;
  std::string lines_;    // Whole lines that the pipe has not taken.
  std::string partial_;  // A line without its end.
  bool watched_ = false;
};

}  // namespace apm::upstream
