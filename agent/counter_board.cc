#include "agent/counter_board.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/status/status_macros.h"

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
  APM_ASSIGN_OR_RETURN(
      SharedMemory memory,
      SharedMemory::Create("apm-counters", proxy::CountersBytes(slots)));
  auto* header = new (memory.data()) CountersHeader{};
  header->layout.store(proxy::kCountersLayout, std::memory_order_relaxed);
  header->magic.store(proxy::kCountersMagic, std::memory_order_release);
  return std::unique_ptr<CounterBoard>(
      new CounterBoard(std::move(memory), slots));
}

absl::StatusOr<std::unique_ptr<CounterBoard>> CounterBoard::Adopt(
    UniqueFd memfd) {
  APM_ASSIGN_OR_RETURN(
      SharedMemory memory,
      SharedMemory::Map(std::move(memfd), sizeof(CountersHeader)));
  const auto* header = reinterpret_cast<CountersHeader*>(memory.data());
  const size_t slots =
      (memory.size() - sizeof(CountersHeader)) / sizeof(WorkerCounters);
  if (header->magic.load(std::memory_order_acquire) != proxy::kCountersMagic ||
      Value(header->layout) != proxy::kCountersLayout ||
      slots > proxy::kMaxCounterSlots) {
    return absl::InvalidArgumentError("the counters have another layout");
  }
  std::unique_ptr<CounterBoard> board(
      new CounterBoard(std::move(memory), static_cast<uint32_t>(slots)));
  for (uint32_t slot = 0; slot < board->slots_; ++slot) {
    board->owners_[slot] = static_cast<uint32_t>(Value(board->At(slot).owner));
  }
  return board;
}

CounterBoard::CounterBoard(SharedMemory memory, uint32_t slots)
    : memory_(std::move(memory)), slots_(slots), owners_(slots) {}

WorkerCounters& CounterBoard::At(uint32_t slot) const {
  return reinterpret_cast<WorkerCounters*>(memory_.data() +
                                           sizeof(CountersHeader))[slot];
}

absl::StatusOr<uint32_t> CounterBoard::TakeSlot(uint32_t owner) {
  auto found = std::find(owners_.begin(), owners_.end(), owner);
  if (found != owners_.end()) {
    return static_cast<uint32_t>(found - owners_.begin());
  }
  found = std::find(owners_.begin(), owners_.end(), 0);
  if (found == owners_.end()) {
    return absl::ResourceExhaustedError(
        "no counter slot is free; delete a worker that is not needed");
  }
  const auto slot = static_cast<uint32_t>(found - owners_.begin());
  *found = owner;
  auto* counters = new (&At(slot)) WorkerCounters{};
  counters->owner.store(owner, std::memory_order_release);
  return slot;
}

void CounterBoard::ReturnSlot(uint32_t slot) {
  owners_[slot] = 0;
  At(slot).owner.store(0, std::memory_order_relaxed);
}

void CounterBoard::ReturnAllBut(std::span<const uint32_t> owners) {
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    if (owners_[slot] != 0 && std::find(owners.begin(), owners.end(),
                                        owners_[slot]) == owners.end()) {
      ReturnSlot(slot);
    }
  }
}

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

void CounterBoard::BeginProxy(uint64_t incarnation) {
  auto* header = reinterpret_cast<CountersHeader*>(memory_.data());
  if (header->proxy.exchange(incarnation) != incarnation) SettleGauges();
}

void CounterBoard::SettleGauges() {
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    if (owners_[slot] == 0) continue;
    WorkerCounters& counters = At(slot);
    counters.requests_done.store(Value(counters.requests));
    counters.unqueued.store(Value(counters.queued));
    counters.websocket_closed.store(Value(counters.websocket_opened));
  }
}

}  // namespace apm::agent
