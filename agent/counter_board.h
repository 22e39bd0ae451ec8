// The agent's side of the proxy's counters (proxy/counters.h): makes the
// memory, gives out slots, reads it as untrusted input.
//
// The memory outlives the agent: its descriptor is in the keeper's store. A
// worker finds its slot, and so its totals, again by its number.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/agent_api.h"
#include "base/os/shared_memory.h"
#include "base/os/unique_fd.h"
#include "proxy/counters.h"

namespace apm::agent {

// Thread: the main loop's.
class CounterBoard {
 public:
  // `slots` of at most proxy::kMaxCounterSlots.
  static absl::StatusOr<std::unique_ptr<CounterBoard>> Create(uint32_t slots);

  // What an agent before this one made, with its slots and their figures.
  // kInvalidArgument if it has another layout: make a new one, the totals
  // begin at zero.
  static absl::StatusOr<std::unique_ptr<CounterBoard>> Adopt(UniqueFd memfd);

  CounterBoard(const CounterBoard&) = delete;
  CounterBoard& operator=(const CounterBoard&) = delete;

  // The memfd to hand to the proxy and to the keeper's store.
  int fd() const { return memory_.fd(); }
  uint32_t slots() const { return slots_; }

  // The slot of the worker of that number (WorkerRecord::id, never 0): the one
  // it has, with its totals, else a zeroed one. kResourceExhausted when all
  // are taken.
  absl::StatusOr<uint32_t> TakeSlot(uint32_t owner);
  void ReturnSlot(uint32_t slot);

  // Of slots found at Adopt(), keeps those of `owners`.
  void ReturnAllBut(std::span<const uint32_t> owners);

  // REQUIRES: slot < slots().
  TrafficCounters Read(uint32_t slot) const;

  // The proxy that counts from now on. If that is another one than before,
  // also before a restart of the agent, SettleGauges().
  void BeginProxy(uint64_t incarnation);

  // A dead proxy's open requests and connections are closed in the figures.
  // REQUIRES: no other proxy has been sent the memory since.
  void SettleGauges();

 private:
  CounterBoard(SharedMemory memory, uint32_t slots);
  proxy::WorkerCounters& At(uint32_t slot) const;

  SharedMemory memory_;
  uint32_t slots_;
  std::vector<uint32_t> owners_;  // By slot; 0: free.
};

}  // namespace apm::agent
