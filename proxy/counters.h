// The proxy's counters, in memory that the agent made and both map: metrics
// cost the data path one increment, and outlive the proxy.
//
//   memfd := Header  WorkerCounters[slots]
//
// The agent creates the memfd (sealed against resizing), assigns slots, and
// reads it as untrusted input; the keeper keeps it for the next agent; the
// proxy only adds. Gauges are the
// difference of two counters that only rise: after a proxy died, the agent
// sets the lower one to the upper one (CounterBoard::SettleGauges).

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace apm::proxy {

inline constexpr uint64_t kCountersMagic = 0x41504d434e545231;  // "APMCNTR1"
inline constexpr uint32_t kMaxCounterSlots = 4096;

// Everything about one worker since the agent made its slot. Append at the
// end, never reorder: kLayout tells an old proxy from a new agent.
struct alignas(64) WorkerCounters {
  std::atomic<uint64_t> requests;       // HTTP requests dispatched or refused.
  std::atomic<uint64_t> requests_done;  // In flight: requests - done.
  std::atomic<uint64_t> queued;         // Entered the queue.
  std::atomic<uint64_t> unqueued;       // Left it.
  std::atomic<uint64_t> responses_by_class[5];  // 1xx .. 5xx
  std::atomic<uint64_t> responses_502;
  std::atomic<uint64_t> responses_503;
  std::atomic<uint64_t> responses_504;
  std::atomic<uint64_t> websocket_opened;
  std::atomic<uint64_t> websocket_closed;
  std::atomic<uint64_t> bytes_in;   // From clients: heads, bodies, messages.
  std::atomic<uint64_t> bytes_out;  // Bodies and messages.
  std::atomic<uint64_t> frames_in;  // From the worker.
  std::atomic<uint64_t> frames_out;
  std::atomic<uint64_t> frames_bad;
  std::atomic<uint64_t> late_frames;  // Their session had ended.
  std::atomic<uint64_t> stray_bytes;
  std::atomic<uint64_t> stray_dropped_bytes;
  std::atomic<uint64_t> forwarded_invalid;  // X-Forwarded-For not parsable.
  std::atomic<uint64_t> headers_dropped;    // Names with '_'.
  std::atomic<uint64_t> slow_clients_cut;   // Too many bytes waited for them.
  std::atomic<uint64_t> retries;            // Sent again: their instance died.
  std::atomic<uint64_t> owner;  // The agent's: whose slot it is; 0: nobody's.
};

struct alignas(64) CountersHeader {
  std::atomic<uint64_t> magic;
  std::atomic<uint64_t> layout;  // kCountersLayout of the writer.
  std::atomic<uint64_t> connections_opened;
  std::atomic<uint64_t> connections_closed;
  std::atomic<uint64_t> accept_errors;  // EMFILE and the like.
  std::atomic<uint64_t> bad_requests;   // Refused before a worker was known.
  std::atomic<uint64_t> proxy;  // The agent's: the incarnation that counts.
};

inline constexpr uint64_t kCountersLayout =
    uint64_t{sizeof(CountersHeader)} << 32 | sizeof(WorkerCounters);

// Size of the memfd in bytes.
inline constexpr size_t CountersBytes(uint32_t slots) {
  return sizeof(CountersHeader) + slots * sizeof(WorkerCounters);
}

// One writer (a shard): no read-modify-write lock prefix is needed.
inline void Add(std::atomic<uint64_t>& counter, uint64_t amount = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + amount,
                std::memory_order_relaxed);
}

}  // namespace apm::proxy
