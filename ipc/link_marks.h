// The two marks by which a process that died tells its successor whether it
// left a worker's pipes between frames, or in the middle of one.
//
// They live in memory that outlives the process. WorkerLink sets one before a
// system call that moves bytes, and clears it when what moved ends where a
// frame ends:
//
//   busy_in  = 1   read()   deliver the frames   busy_in  = 0 if none is begun
//   busy_out = 1   write()                       busy_out = 0 if all is written
//
// Whoever finds a mark set after the process has ended must not use the pipes:
// half a frame may be gone, and what follows it would be read as something
// else.
//
// Why plain stores are enough: SIGKILL stops a thread between two
// instructions, and stores that have been executed reach the memory whether
// the process lives on or not. So only the compiler could bring a store and a
// system call out of order; a signal fence forbids that, and costs nothing.

#pragma once

#include <atomic>
#include <cstdint>

namespace apm::ipc {

// In shared memory: read by other processes as untrusted input.
struct LinkMarks {
  std::atomic<uint32_t> busy_in;
  std::atomic<uint32_t> busy_out;

  bool torn() const {
    return busy_in.load(std::memory_order_relaxed) != 0 ||
           busy_out.load(std::memory_order_relaxed) != 0;
  }
};

static_assert(std::atomic<uint32_t>::is_always_lock_free);

// Sets or clears a mark, not later and not earlier than it says in the source.
inline void SetMark(std::atomic<uint32_t>& mark, bool busy) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  mark.store(busy ? 1 : 0, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace apm::ipc
