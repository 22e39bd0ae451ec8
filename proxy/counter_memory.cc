#include "proxy/counter_memory.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <absl/status/status.h>

#include "base/status/status_macros.h"

namespace apm::proxy {
namespace {

using Counter = std::atomic<uint64_t>;

// Raises one of `begun` and `ended` so that their difference, the number that
// is open, is what it is by the two counters before.
void CarryOver(const Counter& begun_before, const Counter& ended_before,
               Counter& begun, Counter& ended) {
  const uint64_t open = begun_before.load() - ended_before.load();
  const uint64_t least = std::max(begun.load(), ended.load() + open);
  begun = least;
  ended = least - open;
}

void CarryOver(const WorkerCounters& before, WorkerCounters& now) {
  CarryOver(before.requests, before.requests_done, now.requests,
            now.requests_done);
  CarryOver(before.queued, before.unqueued, now.queued, now.unqueued);
  CarryOver(before.websocket_opened, before.websocket_closed,
            now.websocket_opened, now.websocket_closed);
}

}  // namespace

CounterMemory::CounterMemory()
    : own_header_(std::make_unique<CountersHeader>()),
      own_worker_(std::make_unique<WorkerCounters>()),
      header_(own_header_.get()) {}

absl::Status CounterMemory::Use(UniqueFd memfd, uint32_t slots) {
  if (slots > kMaxCounterSlots) {
    return absl::InvalidArgumentError("more counters than are allowed");
  }
  // Not sealed, shrinking it would kill us at the next increment.
  APM_ASSIGN_OR_RETURN(
      SharedMemory memory,
      SharedMemory::Map(std::move(memfd), CountersBytes(slots)));
  auto* header = reinterpret_cast<CountersHeader*>(memory.data());
  if (header->magic != kCountersMagic || header->layout != kCountersLayout) {
    return absl::InvalidArgumentError("the counters have another layout");
  }
  auto* workers = reinterpret_cast<WorkerCounters*>(header + 1);
  CarryOver(header_->connections_opened, header_->connections_closed,
            header->connections_opened, header->connections_closed);
  const WorkerCounters none{};
  for (uint32_t slot = 0; slot < slots; ++slot) {
    CarryOver(slot < slots_ ? workers_[slot] : none, workers[slot]);
  }
  previous_ = std::exchange(current_, std::move(memory));
  header_ = header;
  workers_ = workers;
  slots_ = slots;
  return absl::OkStatus();
}

WorkerCounters& CounterMemory::worker(uint32_t slot) {
  return slot < slots_ ? workers_[slot] : *own_worker_;
}

}  // namespace apm::proxy
