#include "agent/link_board.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include "base/os/shared_memory.h"
#include "base/os/unique_fd.h"
#include "proxy/link_records.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::apm::testing::StatusIs;

constexpr LinkKey kWeb{.worker_id = 1, .instance = 0, .generation = 7};
constexpr LinkKey kApi{.worker_id = 2, .instance = 0, .generation = 7};

UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

class LinkBoardTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kLinks = 3;

  // As a proxy sees it.
  proxy::RecordsHeader& header() const {
    return *reinterpret_cast<proxy::RecordsHeader*>(memory_.data());
  }
  proxy::LinkRecord& InProxy(uint32_t record) const {
    return reinterpret_cast<proxy::LinkRecord*>(&header() + 1)[record];
  }

  absl::StatusOr<std::unique_ptr<LinkBoard>> Adopt() const {
    return LinkBoard::Adopt(Duplicate(board_->links_fd()),
                            Duplicate(board_->sessions_fd()));
  }

  std::unique_ptr<LinkBoard> board_ = LinkBoard::Create(kLinks, 5).value();
  SharedMemory memory_ =
      SharedMemory::Map(Duplicate(board_->links_fd()), 0).value();
};

TEST_F(LinkBoardTest, ALinkHasOneRecord) {
  const uint32_t record = board_->Take(kWeb).value();
  EXPECT_NE(board_->Take(kApi).value(), record);
  EXPECT_EQ(board_->Take(kWeb).value(), record);
}

TEST_F(LinkBoardTest, AnotherGenerationIsAnotherLink) {
  LinkKey next = kWeb;
  ++next.generation;
  EXPECT_NE(board_->Take(kWeb).value(), board_->Take(next).value());
}

TEST_F(LinkBoardTest, SaysWhenAllRecordsAreTaken) {
  for (uint32_t i = 0; i < kLinks; ++i) board_->Take({1, i, 1}).value();
  EXPECT_THAT(board_->Take({1, kLinks, 1}),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(LinkBoardTest, JudgesByOwnerAndMarks) {
  const uint32_t record = board_->Take(kWeb).value();
  EXPECT_EQ(board_->Judge(record, 5), LinkState::kUnowned);
  InProxy(record).owner = 5;
  InProxy(record).marks.busy_in = 1;  // Busy, but alive.
  EXPECT_EQ(board_->Judge(record, 5), LinkState::kLive);
  EXPECT_EQ(board_->Judge(record, 6), LinkState::kTorn);
  InProxy(record).marks.busy_in = 0;
  EXPECT_EQ(board_->Judge(record, 6), LinkState::kClean);
  InProxy(record).marks.busy_out = 0xffff;
  EXPECT_EQ(board_->Judge(record, 6), LinkState::kTorn);
}

TEST_F(LinkBoardTest, AReturnedRecordIsAsNew) {
  const uint32_t record = board_->Take(kWeb).value();
  InProxy(record).owner = 5;
  InProxy(record).marks.busy_out = 1;
  board_->Return(kWeb);
  board_->Return(kWeb);
  EXPECT_EQ(board_->Take(kApi).value(), record);
  EXPECT_EQ(board_->Judge(record, 6), LinkState::kUnowned);
  EXPECT_EQ(InProxy(record).marks.busy_out, 0U);
}

TEST_F(LinkBoardTest, MarksThatWereLeftOnAFreeRecordAreWipedBeforeItIsTaken) {
  board_->Return(kWeb);
  InProxy(0).marks.busy_in = 1;  // Its proxy was slow to hear of it.
  const uint32_t record = board_->Take(kWeb).value();
  EXPECT_EQ(InProxy(record).marks.busy_in, 0U);
}

TEST_F(LinkBoardTest, LinksAreFoundAgainByTheNextAgent) {
  board_->Take(kApi).value();
  const uint32_t record = board_->Take(kWeb).value();
  InProxy(record).owner = 5;
  const auto next = Adopt().value();
  EXPECT_EQ(next->links(), kLinks);
  EXPECT_EQ(next->sessions(), 5U);
  EXPECT_EQ(next->Take(kWeb).value(), record);
  EXPECT_EQ(next->Judge(record, 5), LinkState::kLive);
}

TEST_F(LinkBoardTest, RecordsOfLinksThatAreGoneAreFreedAfterARestart) {
  board_->Take(kWeb).value();
  const uint32_t gone = board_->Take(kApi).value();
  const auto next = Adopt().value();
  next->ReturnAllBut(std::vector<LinkKey>{kWeb});
  EXPECT_EQ(InProxy(gone).worker_id, 0U);
  EXPECT_EQ(next->Take({3, 0, 1}).value(), gone);
}

TEST_F(LinkBoardTest, AdoptsNothingThatIsDamaged) {
  header().count = kLinks + 1;
  EXPECT_THAT(Adopt(), StatusIs(absl::StatusCode::kInvalidArgument));
  header().count = ~uint64_t{0};
  EXPECT_THAT(Adopt(), StatusIs(absl::StatusCode::kInvalidArgument));
  header().count = kLinks;
  header().magic = 1;
  EXPECT_THAT(Adopt(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(LinkBoardTest, AdoptsNothingThatMayShrink) {
  UniqueFd fd(memfd_create("links", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_THAT(LinkBoard::Adopt(std::move(fd), Duplicate(board_->sessions_fd())),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace apm::agent
