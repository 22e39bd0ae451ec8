// The last events, in memory that outlives the agent: a memfd, of which the
// keeper holds a duplicate.
//
//   memfd := Header  byte[kRingBytes]
//   ring  := record*, from `begin` to `end`, both counted without wrapping
//
// A record is written behind `end` first and then published by one store to
// `end`: an agent killed in between has not appended it, one killed after has.
// So there is nothing to repair; what an adopted ring holds is checked all the
// same, since what killed its writer may have been a bug that writes at random.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "agent/events/event.h"
#include "base/os/unique_fd.h"

namespace apm::events {

inline constexpr size_t kMaxEvents = 10'000;

// Room for kMaxEvents with some crashes among them (a tail has 50 KiB at
// most). Touched page by page as it fills.
inline constexpr size_t kRingBytes = size_t{8} << 20;

inline constexpr size_t kRingHeaderBytes = 64;  // Before the ring.

// Thread-compatible.
class EventRing {
 public:
  // An empty ring. `epoch` is not 0 and never used before on this node.
  static absl::StatusOr<std::unique_ptr<EventRing>> Create(uint64_t epoch);

  // The ring of an agent before us, with its epoch. Damaged records and all
  // after them are cut off; since their numbers will be given to others then,
  // the ring gets `fresh_epoch`. kDataLoss if it is no ring of this layout:
  // Create() one then.
  static absl::StatusOr<std::unique_ptr<EventRing>> Adopt(UniqueFd fd,
                                                          uint64_t fresh_epoch);

  EventRing(const EventRing&) = delete;
  EventRing& operator=(const EventRing&) = delete;
  ~EventRing();

  // For the keeper's store. Sealed against resizing: nobody can make us read
  // past its end.
  int fd() const { return fd_.get(); }

  uint64_t epoch() const { return epoch_; }
  // Sequences are without gaps: those kept are [first, next).
  uint64_t first() const { return next_ - positions_.size(); }
  uint64_t next() const { return next_; }

  // Drops the oldest events for `event`, which is cut to the limits. Returns
  // its cursor.
  Cursor Append(Event event);

  // nullopt if its record was damaged since. REQUIRES: first() <= sequence <
  // next().
  std::optional<Event> At(uint64_t sequence) const;

 private:
  struct Header;

  EventRing(UniqueFd fd, void* memory);

  void Initialise(uint64_t epoch);
  // False if the header makes no sense.
  bool LoadHeader();
  // Finds the records; false at a damaged one, with `end_` before it.
  bool LoadRecords();
  // The record at `position`; nullopt if there is no possible one.
  std::optional<std::string> ReadRecord(uint64_t position) const;

  void DropOldest();
  void CopyIn(uint64_t position, std::string_view bytes);
  void CopyOut(uint64_t position, size_t size, char* to) const;

  UniqueFd fd_;
  Header* header_;
  char* ring_;
  uint64_t epoch_ = 0;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
  uint64_t next_ = 1;
  std::deque<uint64_t> positions_;  // Of each record kept, oldest first.
};

}  // namespace apm::events
