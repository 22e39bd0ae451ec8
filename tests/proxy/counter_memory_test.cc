#include "proxy/counter_memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include "base/os/unique_fd.h"

namespace apm::proxy {
namespace {

constexpr uint32_t kSlots = 2;

// The agent's side: makes the memory and reads it.
class Board {
 public:
  explicit Board(uint64_t layout = kCountersLayout, bool sealed = true)
      : fd_(memfd_create("counters", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    if (ftruncate(fd_.get(), CountersBytes(kSlots)) != 0) abort();
    if (sealed) fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    memory_ = mmap(nullptr, CountersBytes(kSlots), PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd_.get(), 0);
    header().magic = kCountersMagic;
    header().layout = layout;
  }
  ~Board() { munmap(memory_, CountersBytes(kSlots)); }
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  UniqueFd Fd() const { return UniqueFd(dup(fd_.get())); }
  CountersHeader& header() { return *static_cast<CountersHeader*>(memory_); }
  WorkerCounters& worker(uint32_t slot) {
    return reinterpret_cast<WorkerCounters*>(&header() + 1)[slot];
  }

 private:
  UniqueFd fd_;
  void* memory_;
};

TEST(CounterMemoryTest, CountsInItsOwnMemoryUntilThereIsAnother) {
  CounterMemory memory;
  Add(memory.header().bad_requests);
  Add(memory.worker(7).requests);
  EXPECT_EQ(memory.header().bad_requests, 1u);
}

TEST(CounterMemoryTest, CountsWhereTheAgentReads) {
  Board board;
  CounterMemory memory;
  ASSERT_TRUE(memory.Use(board.Fd(), kSlots).ok());
  Add(memory.worker(1).frames_in, 3);
  EXPECT_EQ(board.worker(1).frames_in, 3u);
  EXPECT_EQ(board.worker(0).frames_in, 0u);
}

TEST(CounterMemoryTest, ASlotOutOfRangeHarmsNoOther) {
  Board board;
  CounterMemory memory;
  ASSERT_TRUE(memory.Use(board.Fd(), kSlots).ok());
  Add(memory.worker(kSlots).requests);
  EXPECT_EQ(board.worker(1).requests, 0u);
}

TEST(CounterMemoryTest, RefusesMemoryThatItCannotTrust) {
  CounterMemory memory;
  Board unsealed(kCountersLayout, /*sealed=*/false);
  EXPECT_FALSE(memory.Use(unsealed.Fd(), kSlots).ok());
  Board other_layout(kCountersLayout + 1);
  EXPECT_FALSE(memory.Use(other_layout.Fd(), kSlots).ok());
  Board small;
  EXPECT_FALSE(memory.Use(small.Fd(), kSlots + 1).ok());
  EXPECT_FALSE(memory.Use(small.Fd(), kMaxCounterSlots + 1).ok());
}

TEST(CounterMemoryTest, WhatADeadProxyLeftOpenIsClosed) {
  Board board;
  board.worker(0).requests = 10;
  board.worker(0).requests_done = 7;
  board.header().connections_opened = 5;
  CounterMemory memory;
  ASSERT_TRUE(memory.Use(board.Fd(), kSlots).ok());
  EXPECT_EQ(board.worker(0).requests, 10u);
  EXPECT_EQ(board.worker(0).requests_done, 10u);
  EXPECT_EQ(board.header().connections_closed, 5u);
}

TEST(CounterMemoryTest, WhatIsOpenStaysOpenInNewMemory) {
  Board before;
  CounterMemory memory;
  ASSERT_TRUE(memory.Use(before.Fd(), kSlots).ok());
  Add(memory.worker(0).requests, 3);
  Add(memory.worker(0).requests_done, 1);
  Board now;
  ASSERT_TRUE(memory.Use(now.Fd(), kSlots).ok());
  EXPECT_EQ(now.worker(0).requests - now.worker(0).requests_done, 2u);
  ASSERT_TRUE(memory.Use(now.Fd(), kSlots).ok());
  EXPECT_EQ(now.worker(0).requests, 2u) << "the same memory again";
}

}  // namespace
}  // namespace apm::proxy
