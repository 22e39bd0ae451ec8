// Whatever is in a ring's memory: what is adopted can be read, goes on, and is
// the same when it is adopted again.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "agent/events/event_codec.h"
#include "agent/events/event_ring.h"
#include "base/os/unique_fd.h"

namespace {

using apm::UniqueFd;
using apm::events::Decode;
using apm::events::Encode;
using apm::events::Event;
using apm::events::EventRing;

constexpr uint64_t kFreshEpoch = 8;

void Require(bool condition) {
  if (!condition) abort();
}

// Every event of `ring`, as bytes.
std::string ReadAll(const EventRing& ring) {
  std::string bytes;
  for (uint64_t i = ring.first(); i != ring.next(); ++i) {
    const std::optional<Event> event = ring.At(i);
    Require(event.has_value());
    const size_t before = bytes.size();
    Encode(*event, bytes);
    const std::optional<Event> again = Decode(bytes.substr(before));
    Require(again.has_value() && again->cursor.sequence == i);
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The input lies over the header and the first records of an empty ring.
  auto empty = EventRing::Create(7).value();
  UniqueFd fd(dup(empty->fd()));
  empty.reset();
  Require(size <= apm::events::kRingBytes &&
          pwrite(fd.get(), data, size, 0) == static_cast<ssize_t>(size));

  auto ring = EventRing::Adopt(UniqueFd(dup(fd.get())), kFreshEpoch);
  if (!ring.ok()) return 0;
  const std::string before = ReadAll(**ring);
  auto again = EventRing::Adopt(UniqueFd(dup(fd.get())), kFreshEpoch);
  Require(again.ok() && (*again)->epoch() == (*ring)->epoch());
  Require(ReadAll(**again) == before);

  const apm::events::Cursor cursor = (*ring)->Append({.text = "more"});
  Require((*ring)->At(cursor.sequence)->text == "more");
  ReadAll(**ring);
  return 0;
}
