#include "agent/counter_board.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/unique_fd.h"
#include "proxy/counters.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::apm::testing::StatusIs;

constexpr uint32_t kWorker = 4711;

class CounterBoardTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kSlots = 3;

  CounterBoardTest() {
    memory_ = mmap(nullptr, proxy::CountersBytes(kSlots),
                   PROT_READ | PROT_WRITE, MAP_SHARED, board_->fd(), 0);
  }
  ~CounterBoardTest() override {
    munmap(memory_, proxy::CountersBytes(kSlots));
  }

  // As the proxy sees it.
  proxy::WorkerCounters& InProxy(uint32_t slot) const {
    return reinterpret_cast<proxy::WorkerCounters*>(
        static_cast<char*>(memory_) + sizeof(proxy::CountersHeader))[slot];
  }

  // The agent dies; another one begins with what the keeper has.
  void Restart() {
    UniqueFd kept(dup(board_->fd()));
    board_ = CounterBoard::Adopt(std::move(kept)).value();
  }

  std::unique_ptr<CounterBoard> board_ = CounterBoard::Create(kSlots).value();
  void* memory_ = nullptr;
};

TEST_F(CounterBoardTest, ReadsWhatTheProxyAdds) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  proxy::Add(InProxy(slot).requests, 5);
  proxy::Add(InProxy(slot).requests_done, 3);
  EXPECT_EQ(board_->Read(slot).requests, 5U);
  EXPECT_EQ(board_->Read(slot).requests_in_flight, 2U);
}

TEST_F(CounterBoardTest, AGaugeIsNeverNegativeWhateverTheProxyWrote) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  proxy::Add(InProxy(slot).requests_done, 7);
  EXPECT_EQ(board_->Read(slot).requests_in_flight, 0U);
}

TEST_F(CounterBoardTest, SettlesTheGaugesOfADeadProxy) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  proxy::Add(InProxy(slot).websocket_opened, 9);
  board_->SettleGauges();
  EXPECT_EQ(board_->Read(slot).websocket_open, 0U);
  EXPECT_EQ(board_->Read(slot).websocket_opened, 9U);
}

TEST_F(CounterBoardTest, SettlesWhenTheProxyDiedWithTheAgent) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  board_->BeginProxy(1);
  proxy::Add(InProxy(slot).requests, 2);
  Restart();
  board_->BeginProxy(1);
  EXPECT_EQ(board_->Read(slot).requests_in_flight, 2U);
  board_->BeginProxy(2);
  EXPECT_EQ(board_->Read(slot).requests_in_flight, 0U);
}

TEST_F(CounterBoardTest, ReusesASlotFromZero) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  proxy::Add(InProxy(slot).requests, 5);
  board_->ReturnSlot(slot);
  EXPECT_EQ(board_->TakeSlot(kWorker).value(), slot);
  EXPECT_EQ(board_->Read(slot).requests, 0U);
}

TEST_F(CounterBoardTest, SaysWhenAllSlotsAreTaken) {
  for (uint32_t i = 0; i < kSlots; ++i) board_->TakeSlot(kWorker + i).value();
  EXPECT_THAT(board_->TakeSlot(kWorker + kSlots),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(CounterBoardTest, TotalsGoOnAfterARestartOfTheAgent) {
  board_->TakeSlot(kWorker + 1).value();
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  proxy::Add(InProxy(slot).requests, 5);
  Restart();
  EXPECT_EQ(board_->slots(), kSlots);
  EXPECT_EQ(board_->TakeSlot(kWorker).value(), slot);
  proxy::Add(InProxy(slot).requests);
  EXPECT_EQ(board_->Read(slot).requests, 6U);
}

TEST_F(CounterBoardTest, GivesNobodysSlotAwayAfterARestart) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  Restart();
  EXPECT_NE(board_->TakeSlot(kWorker + 1).value(), slot);
}

TEST_F(CounterBoardTest, FreesTheSlotsOfWorkersThatAreNoMore) {
  board_->TakeSlot(kWorker).value();
  const uint32_t gone = board_->TakeSlot(kWorker + 1).value();
  Restart();
  board_->ReturnAllBut(std::vector<uint32_t>{kWorker});
  EXPECT_EQ(board_->TakeSlot(kWorker + 2).value(), gone);
}

TEST_F(CounterBoardTest, AReturnedSlotIsNobodysAfterARestart) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  proxy::Add(InProxy(slot).requests, 5);
  board_->ReturnSlot(slot);
  Restart();
  EXPECT_EQ(board_->TakeSlot(kWorker).value(), slot);
  EXPECT_EQ(board_->Read(slot).requests, 0U);
}

TEST_F(CounterBoardTest, SettlesAfterARestartWhatNoWorkerHasAskedFor) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  proxy::Add(InProxy(slot).requests, 2);
  Restart();
  board_->SettleGauges();
  EXPECT_EQ(board_->Read(slot).requests_in_flight, 0U);
}

TEST_F(CounterBoardTest, LeavesWhatIsOpenOpenOverARestart) {
  const uint32_t slot = board_->TakeSlot(kWorker).value();
  proxy::Add(InProxy(slot).requests, 2);
  Restart();
  EXPECT_EQ(board_->Read(slot).requests_in_flight, 2U);
}

TEST_F(CounterBoardTest, DoesNotAdoptAnotherLayout) {
  auto* header = static_cast<proxy::CountersHeader*>(memory_);
  header->layout.fetch_add(1);
  EXPECT_THAT(CounterBoard::Adopt(UniqueFd(dup(board_->fd()))),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(CounterBoardTest, CannotBeResizedByAnyone) {
  EXPECT_NE(ftruncate(board_->fd(), 1), 0);
  EXPECT_NE(ftruncate(board_->fd(), 1 << 30), 0);
}

}  // namespace
}  // namespace apm::agent
