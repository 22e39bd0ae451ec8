#include "proxy/link_memory.h"

#include <fcntl.h>

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/shared_memory.h"
#include "base/os/unique_fd.h"
#include "proxy/link_records.h"
#include "tests/testing/status_matchers.h"

namespace apm::proxy {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::IsEmpty;
using ::testing::NotNull;
using ::testing::UnorderedElementsAre;

constexpr uint32_t kLinks = 4;
constexpr uint32_t kSessions = 6;

// The agent's side: makes the memory.
class Board {
 public:
  Board()
      : links_(Make(RecordsBytes<LinkRecord>(kLinks), kLinkRecordsMagic,
                    sizeof(LinkRecord), kLinks)),
        sessions_(Make(RecordsBytes<SessionRecord>(kSessions),
                       kSessionRecordsMagic, sizeof(SessionRecord),
                       kSessions)) {}

  absl::Status GiveTo(LinkMemory& memory, uint32_t links = kLinks,
                      uint32_t sessions = kSessions) const {
    return memory.Use(Duplicate(links_), links, Duplicate(sessions_), sessions);
  }

  RecordsHeader& links_header() const { return Header(links_); }
  RecordsHeader& sessions_header() const { return Header(sessions_); }
  SessionRecord& session(uint32_t number) const {
    return reinterpret_cast<SessionRecord*>(&sessions_header() + 1)[number];
  }

  // Session `number` died with a proxy on that link.
  void Leave(uint32_t number, uint32_t link) const {
    session(number).link = link;
    session(number).incarnation = 1;
  }

 private:
  static RecordsHeader& Header(const SharedMemory& memory) {
    return *reinterpret_cast<RecordsHeader*>(memory.data());
  }
  static SharedMemory Make(size_t bytes, uint64_t magic, uint64_t record_bytes,
                           uint64_t count) {
    SharedMemory memory = SharedMemory::Create("records", bytes).value();
    Header(memory).magic = magic;
    Header(memory).record_bytes = record_bytes;
    Header(memory).count = count;
    return memory;
  }
  static UniqueFd Duplicate(const SharedMemory& memory) {
    return UniqueFd(fcntl(memory.fd(), F_DUPFD_CLOEXEC, 0));
  }

  SharedMemory links_;
  SharedMemory sessions_;
};

class LinkMemoryTest : public ::testing::Test {
 protected:
  // Every free record, as if as many sessions were open.
  std::set<SessionRecord*> TakeAll() {
    std::set<SessionRecord*> taken;
    while (SessionRecord* record = memory_.TakeSession()) {
      EXPECT_TRUE(taken.insert(record).second) << "given out twice";
    }
    return taken;
  }

  Board board_;
  LinkMemory memory_;
};

TEST_F(LinkMemoryTest, HasNothingWithoutMemory) {
  EXPECT_EQ(memory_.link(0), nullptr);
  EXPECT_EQ(memory_.TakeSession(), nullptr);
  EXPECT_THAT(memory_.TakeDead(0), IsEmpty());
  memory_.ForgetDead();
}

TEST_F(LinkMemoryTest, HasTheLinksThatThereAre) {
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  EXPECT_THAT(memory_.link(kLinks - 1), NotNull());
  EXPECT_EQ(memory_.link(kLinks), nullptr);
}

TEST_F(LinkMemoryTest, GivesEachRecordOnceAndAgainWhenItIsReturned) {
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  const std::set<SessionRecord*> taken = TakeAll();
  EXPECT_EQ(taken.size(), kSessions);
  for (SessionRecord* record : taken) {
    record->incarnation = 7;
    memory_.ReturnSession(*record);
    EXPECT_EQ(record->incarnation, 0U);
  }
  EXPECT_EQ(TakeAll(), taken);
}

TEST_F(LinkMemoryTest, NeverGivesOutADeadSessionsRecord) {
  board_.Leave(0, 2);
  board_.Leave(3, 1);
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  EXPECT_EQ(TakeAll().size(), kSessions - 2);
  EXPECT_EQ(board_.session(0).incarnation, 1U);
}

TEST_F(LinkMemoryTest, GivesOutTheDeadOfALinkOnce) {
  board_.Leave(0, 2);
  board_.Leave(3, 1);
  board_.Leave(5, 2);
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  std::vector<uint32_t> links;
  const std::vector<SessionRecord*> dead = memory_.TakeDead(2);
  for (const SessionRecord* record : dead) links.push_back(record->link);
  EXPECT_THAT(links, UnorderedElementsAre(2, 2));
  EXPECT_THAT(memory_.TakeDead(2), IsEmpty());
}

TEST_F(LinkMemoryTest, ADeadRecordIsFreeOnceReturnedWhereverItLies) {
  board_.Leave(0, 2);
  board_.Leave(5, 2);
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  memory_.TakeSession();  // Beyond the first, before the last.
  for (SessionRecord* record : memory_.TakeDead(2)) {
    memory_.ReturnSession(*record);
  }
  EXPECT_EQ(TakeAll().size(), kSessions - 1);
}

TEST_F(LinkMemoryTest, ForgetsTheDeadWhoseLinksAreGone) {
  board_.Leave(3, 999'999);
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  memory_.ForgetDead();
  EXPECT_EQ(board_.session(3).incarnation, 0U);
  EXPECT_EQ(TakeAll().size(), kSessions);
}

TEST_F(LinkMemoryTest, TheSameMemoryAgainChangesNothing) {
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  memory_.TakeSession()->incarnation = 7;
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  memory_.ForgetDead();  // Ours is none of them.
  EXPECT_EQ(board_.session(0).incarnation, 7U);
}

TEST_F(LinkMemoryTest, RefusesOtherMemoryThanItWorksIn) {
  ASSERT_THAT(board_.GiveTo(memory_), IsOk());
  const Board other;
  EXPECT_THAT(other.GiveTo(memory_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(LinkMemoryTest, RefusesAnotherLayout) {
  board_.links_header().record_bytes = 128;
  EXPECT_THAT(board_.GiveTo(memory_),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(memory_.link(0), nullptr);
}

TEST_F(LinkMemoryTest, RefusesOneMemoryForTheOther) {
  board_.sessions_header().magic = kLinkRecordsMagic;
  EXPECT_THAT(board_.GiveTo(memory_),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(LinkMemoryTest, RefusesMoreRecordsThanFit) {
  EXPECT_THAT(board_.GiveTo(memory_, kLinks, kSessions + 1),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(board_.GiveTo(memory_, kMaxLinkRecords + 1),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace apm::proxy
