#include "agent/events/event_ring.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/events/event_codec.h"
#include "tests/testing/status_matchers.h"

namespace apm::events {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;

constexpr uint64_t kEpoch = 7;
constexpr uint64_t kFreshEpoch = 8;
constexpr size_t kMemoryBytes = kRingHeaderBytes + kRingBytes;

// Where the header keeps what it publishes.
constexpr size_t kMagicAt = 0;
constexpr size_t kEpochAt = 16;
constexpr size_t kBeginAt = 24;
constexpr size_t kEndAt = 32;

Event Said(const std::string& text) {
  return {.time = absl::UnixEpoch(), .type = "test", .text = text};
}

Event Big(char letter) {
  Event event = Said(std::string(kMaxTextBytes, letter));
  event.stderr_tail.assign(kMaxTailLines,
                           std::string(kMaxTailLineBytes, letter));
  return event;
}

// All events that a ring keeps: "5:one 6:two".
std::string Kept(const EventRing& ring) {
  std::string result;
  for (uint64_t i = ring.first(); i != ring.next(); ++i) {
    const std::optional<Event> event = ring.At(i);
    absl::StrAppend(&result, i == ring.first() ? "" : " ", i, ":",
                    event ? event->text : "(damaged)");
  }
  return result;
}

// What the keeper holds, and what a random write could reach.
class Memory {
 public:
  explicit Memory(const EventRing& ring)
      : fd_(fcntl(ring.fd(), F_DUPFD_CLOEXEC, 0)),
        bytes_(static_cast<char*>(mmap(nullptr, kMemoryBytes,
                                       PROT_READ | PROT_WRITE, MAP_SHARED,
                                       fd_.get(), 0))) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { munmap(bytes_, kMemoryBytes); }

  UniqueFd fd() const { return UniqueFd(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)); }

  // Offsets of records count from here.
  char* ring() const { return bytes_ + kRingHeaderBytes; }

  uint64_t Get(size_t at) const {
    uint64_t value = 0;
    memcpy(&value, bytes_ + at, sizeof(value));
    return value;
  }
  void Set(size_t at, uint64_t value) {
    memcpy(bytes_ + at, &value, sizeof(value));
  }

  absl::StatusOr<std::unique_ptr<EventRing>> Adopt() const {
    return EventRing::Adopt(fd(), kFreshEpoch);
  }

 private:
  UniqueFd fd_;
  char* bytes_;
};

class EventRingTest : public ::testing::Test {
 protected:
  std::unique_ptr<EventRing> ring_ = EventRing::Create(kEpoch).value();
  Memory memory_{*ring_};
};

TEST_F(EventRingTest, StartsEmptyAndCountsFromOne) {
  EXPECT_EQ(Kept(*ring_), "");
  EXPECT_EQ(ring_->Append(Said("one")), (Cursor{kEpoch, 1}));
  EXPECT_EQ(ring_->Append(Said("two")), (Cursor{kEpoch, 2}));
  EXPECT_EQ(Kept(*ring_), "1:one 2:two");
}

TEST_F(EventRingTest, AnEventKnowsItsCursor) {
  ring_->Append(Said("one"));
  EXPECT_EQ(ring_->At(1)->cursor, (Cursor{kEpoch, 1}));
}

TEST_F(EventRingTest, KeepsTenThousandAndDropsTheOldest) {
  for (size_t i = 1; i <= kMaxEvents; ++i) ring_->Append(Said("x"));
  EXPECT_EQ(ring_->first(), 1U);
  ring_->Append(Said("x"));
  EXPECT_EQ(ring_->first(), 2U);
  EXPECT_EQ(ring_->next() - ring_->first(), kMaxEvents);
}

TEST_F(EventRingTest, KeepsWhatFitsOfBigEvents) {
  for (int i = 0; i < 1000; ++i) ring_->Append(Big('a'));
  const uint64_t kept = ring_->next() - ring_->first();
  EXPECT_EQ(ring_->next(), 1001U);
  EXPECT_GT(kept, kRingBytes / kMaxRecordBytes);
  EXPECT_LT(kept, 200U);
  for (uint64_t i = ring_->first(); i != ring_->next(); ++i) {
    EXPECT_EQ(ring_->At(i)->text, Big('a').text);
  }
}

TEST_F(EventRingTest, ManyTimesAroundIsWithoutGaps) {
  // Lengths that meet the end of the memory in ever other places.
  for (size_t i = 1; i <= 60'000; ++i) {
    ring_->Append(Said(absl::StrCat(i, " ", std::string(i % 1500, 'x'))));
  }
  ASSERT_EQ(ring_->next(), 60'001U);
  for (uint64_t i = ring_->first(); i != ring_->next(); ++i) {
    ASSERT_EQ(ring_->At(i)->text,
              absl::StrCat(i, " ", std::string(i % 1500, 'x')));
  }
}

TEST_F(EventRingTest, AnAdoptedRingGoesOnWhereItWas) {
  ring_->Append(Said("one"));
  ring_->Append(Said("two"));
  ring_.reset();
  auto adopted = memory_.Adopt().value();
  EXPECT_EQ(adopted->epoch(), kEpoch);
  EXPECT_EQ(adopted->Append(Said("three")), (Cursor{kEpoch, 3}));
  EXPECT_EQ(Kept(*adopted), "1:one 2:two 3:three");
}

TEST_F(EventRingTest, AnEmptyRingCanBeAdopted) {
  auto adopted = memory_.Adopt().value();
  EXPECT_EQ(adopted->epoch(), kEpoch);
  EXPECT_EQ(adopted->Append(Said("one")), (Cursor{kEpoch, 1}));
}

TEST_F(EventRingTest, ARingThatWentAroundCanBeAdopted) {
  for (size_t i = 1; i <= 30'000; ++i) ring_->Append(Said(absl::StrCat(i)));
  for (int i = 0; i < 300; ++i) ring_->Append(Big('b'));
  ring_->Append(Said("last"));
  const std::string before = Kept(*ring_);
  EXPECT_EQ(Kept(*memory_.Adopt().value()), before);
}

TEST_F(EventRingTest, AnAgentKilledAtAnyByteOfAWriteLosesOnlyThatEvent) {
  ring_->Append(Said("one"));
  const uint64_t end_before = memory_.Get(kEndAt);
  ring_->Append(Said("two"));
  const uint64_t end_after = memory_.Get(kEndAt);
  const std::string record(memory_.ring() + end_before, end_after - end_before);
  for (size_t written = 0; written <= record.size(); ++written) {
    memory_.Set(kEndAt, end_before);
    memset(memory_.ring() + end_before, 0, record.size());
    memcpy(memory_.ring() + end_before, record.data(), written);
    auto adopted = memory_.Adopt().value();
    ASSERT_EQ(adopted->epoch(), kEpoch);
    ASSERT_EQ(Kept(*adopted), "1:one");
    adopted->Append(Said("another"));
    ASSERT_EQ(Kept(*memory_.Adopt().value()), "1:one 2:another");
  }
}

TEST_F(EventRingTest, KillNineLosesNothingThatWasAppended) {
  uint64_t appended = 0;  // For sure.
  for (int round = 0; round < 50; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
    UniqueFd reports(pipe_ends[0]);
    UniqueFd reporter(pipe_ends[1]);
    const pid_t agent = fork();
    if (agent == 0) {
      for (;;) {
        const uint64_t sequence = ring_->Append(Big('k')).sequence;
        if (write(reporter.get(), &sequence, sizeof(sequence)) < 0) _exit(1);
      }
    }
    reporter.Reset();
    for (int i = 0; i < 5 + round; ++i) {
      ASSERT_EQ(read(reports.get(), &appended, sizeof(appended)),
                ssize_t{sizeof(appended)});
    }
    kill(agent, SIGKILL);
    ASSERT_EQ(waitpid(agent, nullptr, 0), agent);
    // All that it still reported.
    while (read(reports.get(), &appended, sizeof(appended)) > 0) {
    }
    ring_ = memory_.Adopt().value();
    ASSERT_EQ(ring_->epoch(), kEpoch);  // Nothing was damaged.
    ASSERT_GT(ring_->next(), appended);
    ASSERT_LE(ring_->next(), appended + 2);  // One that it did not report.
  }
}

TEST_F(EventRingTest, AnAgentKilledAfterItDroppedTheOldestHasTheOthers) {
  ring_->Append(Said("one"));
  const uint64_t second = memory_.Get(kEndAt);
  ring_->Append(Said("two"));
  memory_.Set(kBeginAt, second);
  auto adopted = memory_.Adopt().value();
  EXPECT_EQ(Kept(*adopted), "2:two");
  EXPECT_EQ(adopted->epoch(), kEpoch);
}

TEST_F(EventRingTest, ADamagedRecordIsCutOffAndTheRestHasANewEpoch) {
  ring_->Append(Said("one"));
  const uint64_t second = memory_.Get(kEndAt);
  ring_->Append(Said("two"));
  ring_->Append(Said("three"));
  memory_.ring()[second + 4] ^= 1;  // Its version.
  auto adopted = memory_.Adopt().value();
  EXPECT_EQ(Kept(*adopted), "1:one");
  EXPECT_EQ(adopted->Append(Said("another")), (Cursor{kFreshEpoch, 2}));
  EXPECT_EQ(memory_.Adopt().value()->epoch(), kFreshEpoch);
}

TEST_F(EventRingTest, ARandomByteNeverBringsAnEventThatWasNotThere) {
  // The length of the second record becomes anything.
  ring_->Append(Said("one"));
  const uint64_t second = memory_.Get(kEndAt);
  ring_->Append(Said("two"));
  for (size_t at = 0; at < sizeof(uint32_t); ++at) {
    for (int value = 0; value < 256; ++value) {
      char& byte = memory_.ring()[second + at];
      const char whole = std::exchange(byte, static_cast<char>(value));
      if (byte == whole) continue;
      memory_.Set(kEpochAt, kEpoch);
      const uint64_t end = memory_.Get(kEndAt);
      EXPECT_EQ(Kept(*memory_.Adopt().value()), "1:one");
      memory_.Set(kEndAt, end);
      byte = whole;
    }
  }
}

TEST_F(EventRingTest, AGapInTheSequencesIsDamage) {
  ring_->Append(Said("one"));
  const uint64_t second = memory_.Get(kEndAt);
  ring_->Append(Said("two"));
  memory_.ring()[second + 5] = 9;  // Of its sequence.
  EXPECT_EQ(Kept(*memory_.Adopt().value()), "1:one");
}

TEST_F(EventRingTest, ADamageAfterAdoptionIsNotReadAsAnEvent) {
  ring_->Append(Said("one"));
  memory_.ring()[4] ^= 1;
  EXPECT_EQ(ring_->At(1), std::nullopt);
}

TEST_F(EventRingTest, AHeaderThatMakesNoSenseIsNoRing) {
  ring_->Append(Said("one"));
  const uint64_t end = memory_.Get(kEndAt);
  const std::pair<size_t, uint64_t> damages[] = {{kMagicAt, 1},
                                                 {kEpochAt, 0},
                                                 {kBeginAt, end + 1},
                                                 {kEndAt, kRingBytes + 1},
                                                 {kEndAt, UINT64_MAX}};
  for (const auto& [at, value] : damages) {
    const uint64_t whole = memory_.Get(at);
    memory_.Set(at, value);
    EXPECT_THAT(memory_.Adopt(), StatusIs(absl::StatusCode::kDataLoss)) << at;
    memory_.Set(at, whole);
  }
  EXPECT_THAT(memory_.Adopt(), IsOk());
}

TEST(EventRingAdoptTest, MemoryThatCouldShrinkUnderUsIsNoRing) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(fd.get(), kMemoryBytes), 0);
  EXPECT_THAT(EventRing::Adopt(std::move(fd), kFreshEpoch),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(EventRingAdoptTest, MemoryOfAnotherSizeIsNoRing) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(fd.get(), kMemoryBytes - 1), 0);
  ASSERT_EQ(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_THAT(EventRing::Adopt(std::move(fd), kFreshEpoch),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(EventRingAdoptTest, WhatIsNoMemfdIsNoRing) {
  UniqueFd fd(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_THAT(EventRing::Adopt(std::move(fd), kFreshEpoch),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace apm::events
