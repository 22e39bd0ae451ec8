#include "agent/counter_board.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/os/errno_status.h"

namespace apm::agent {
namespace {

using proxy::CountersHeader;
using proxy::WorkerCounters;

uint64_t Value(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

// A gauge from two rising counters, of which the second may be read first.
uint64_t Open(const std::atomic<uint64_t>& begun,
              const std::atomic<uint64_t>& ended) {
  const uint64_t done = Value(ended);
  return std::max(Value(begun), done) - done;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CounterBoard>> CounterBoard::Create(
    uint32_t slots) {
  const size_t bytes = proxy::CountersBytes(slots);
  UniqueFd fd(memfd_create("apm-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return ErrnoStatus(errno, "create the counters' memfd");
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
          0) {
    return ErrnoStatus(errno, "size the counters' memfd");
  }
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "map the counters");
  return std::unique_ptr<CounterBoard>(
      new CounterBoard(std::move(fd), memory, slots));
}

CounterBoard::CounterBoard(UniqueFd fd, void* memory, uint32_t slots)
    : fd_(std::move(fd)), memory_(memory), slots_(slots), taken_(slots, false) {
  auto* header = new (memory_) CountersHeader{};
  header->layout.store(proxy::kCountersLayout, std::memory_order_relaxed);
  header->magic.store(proxy::kCountersMagic, std::memory_order_release);
}

CounterBoard::~CounterBoard() { munmap(memory_, proxy::CountersBytes(slots_)); }

WorkerCounters& CounterBoard::At(uint32_t slot) const {
  auto* first = reinterpret_cast<WorkerCounters*>(static_cast<char*>(memory_) +
                                                  sizeof(CountersHeader));
  return first[slot];
}

absl::StatusOr<uint32_t> CounterBoard::TakeSlot() {
  const auto free = std::find(taken_.begin(), taken_.end(), false);
  if (free == taken_.end()) {
    return absl::ResourceExhaustedError(
        "no counter slot is free; delete a worker that is not needed");
  }
  *free = true;
  const auto slot = static_cast<uint32_t>(free - taken_.begin());
  new (&At(slot)) WorkerCounters{};
  return slot;
}

void CounterBoard::ReturnSlot(uint32_t slot) { taken_[slot] = false; }

TrafficCounters CounterBoard::Read(uint32_t slot) const {
  const WorkerCounters& from = At(slot);
  TrafficCounters out;
  out.requests = Value(from.requests);
  for (size_t i = 0; i < 5; ++i) {
    out.responses_by_class[i] = Value(from.responses_by_class[i]);
  }
  out.responses_502 = Value(from.responses_502);
  out.responses_503 = Value(from.responses_503);
  out.responses_504 = Value(from.responses_504);
  out.websocket_opened = Value(from.websocket_opened);
  out.websocket_open = Open(from.websocket_opened, from.websocket_closed);
  out.requests_in_flight = Open(from.requests, from.requests_done);
  out.requests_queued = Open(from.queued, from.unqueued);
  out.bytes_in = Value(from.bytes_in);
  out.bytes_out = Value(from.bytes_out);
  out.frames_in = Value(from.frames_in);
  out.frames_out = Value(from.frames_out);
  out.frames_bad = Value(from.frames_bad);
  out.late_frames = Value(from.late_frames);
  out.stray_bytes = Value(from.stray_bytes);
  out.stray_dropped_bytes = Value(from.stray_dropped_bytes);
  return out;
}

void CounterBoard::SettleGauges() {
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    if (!taken_[slot]) continue;
    WorkerCounters& counters = At(slot);
    counters.requests_done.store(Value(counters.requests));
    counters.unqueued.store(Value(counters.queued));
    counters.websocket_closed.store(Value(counters.websocket_opened));
  }
}

}  // namespace apm::agent
