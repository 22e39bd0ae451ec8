#include "proxy/counter_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <absl/status/status.h>

#include "base/os/errno_status.h"

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

CounterMemory::~CounterMemory() {
  Unmap(current_);
  Unmap(previous_);
}

void CounterMemory::Unmap(Mapping& mapping) {
  if (mapping.address != nullptr) munmap(mapping.address, mapping.bytes);
  mapping = {};
}

absl::Status CounterMemory::Use(UniqueFd memfd, uint32_t slots) {
  struct stat info {};
  if (fstat(memfd.get(), &info) != 0) {
    return ErrnoStatus(errno, "stat the counters");
  }
  // Without the seal, shrinking it would kill us at the next increment.
  const int seals = fcntl(memfd.get(), F_GET_SEALS);
  const size_t bytes = CountersBytes(slots);
  if (slots > kMaxCounterSlots || seals < 0 || (seals & F_SEAL_SHRINK) == 0 ||
      static_cast<size_t>(info.st_size) < bytes) {
    return absl::InvalidArgumentError(
        "the counters' memory is too small, or not sealed against shrinking");
  }
  void* address =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
  if (address == MAP_FAILED) return ErrnoStatus(errno, "map the counters");
  Mapping mapping{address, bytes};
  auto* header = static_cast<CountersHeader*>(address);
  if (header->magic != kCountersMagic || header->layout != kCountersLayout) {
    Unmap(mapping);
    return absl::InvalidArgumentError("the counters have another layout");
  }
  auto* workers = reinterpret_cast<WorkerCounters*>(header + 1);
  CarryOver(header_->connections_opened, header_->connections_closed,
            header->connections_opened, header->connections_closed);
  const WorkerCounters none{};
  for (uint32_t slot = 0; slot < slots; ++slot) {
    CarryOver(slot < slots_ ? workers_[slot] : none, workers[slot]);
  }
  Unmap(previous_);
  previous_ = std::exchange(current_, mapping);
  header_ = header;
  workers_ = workers;
  slots_ = slots;
  return absl::OkStatus();
}

WorkerCounters& CounterMemory::worker(uint32_t slot) {
  return slot < slots_ ? workers_[slot] : *own_worker_;
}

}  // namespace apm::proxy
