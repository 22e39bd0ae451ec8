// The agent's side of the proxy's counters (proxy/counters.h): makes the
// memory, gives out slots, reads it as untrusted input.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/agent_api.h"
#include "base/os/unique_fd.h"
#include "proxy/counters.h"

namespace apm::agent {

// Thread: the main loop's.
class CounterBoard {
 public:
  // `slots` of at most proxy::kMaxCounterSlots.
  static absl::StatusOr<std::unique_ptr<CounterBoard>> Create(uint32_t slots);

  CounterBoard(const CounterBoard&) = delete;
  CounterBoard& operator=(const CounterBoard&) = delete;
  ~CounterBoard();

  // The memfd to hand to the proxy: sealed against resizing, so that neither
  // side can make the other read past its end.
  int fd() const { return fd_.get(); }
  uint32_t slots() const { return slots_; }

  // A zeroed slot. kResourceExhausted when all are taken.
  absl::StatusOr<uint32_t> TakeSlot();
  void ReturnSlot(uint32_t slot);

  // REQUIRES: slot < slots().
  TrafficCounters Read(uint32_t slot) const;

  // A dead proxy's open requests and connections are closed in the figures.
  void SettleGauges();

 private:
  CounterBoard(UniqueFd fd, void* memory, uint32_t slots);
  proxy::WorkerCounters& At(uint32_t slot) const;

  UniqueFd fd_;
  void* memory_;
  uint32_t slots_;
  std::vector<bool> taken_;
};

}  // namespace apm::agent
