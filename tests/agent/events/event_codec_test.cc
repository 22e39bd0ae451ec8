#include "agent/events/event_codec.h"

#include <cstddef>
#include <string>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::events {
namespace {

using ::testing::Each;
using ::testing::EndsWith;
using ::testing::Optional;
using ::testing::SizeIs;

Event Crash() {
  return {.cursor = {.epoch = 0, .sequence = 42},
          .time = absl::FromUnixMicros(1'795'262'401'000'123),
          .type = type::kWorkerState,
          .severity = Severity::kError,
          .worker = "web",
          .instance = 1,
          .generation = 3,
          .pid = 4711,
          .from_state = "ready",
          .to_state = "backoff",
          .text = "killed by SIGSEGV",
          .exit = Exit{.code = 0,
                       .signal = 11,
                       .core_dumped = true,
                       .max_rss_bytes = 1 << 20,
                       .cpu_ms = 1234},
          .stderr_tail = {"first", "", "last"}};
}

// An event that is as large as one can be.
Event Largest() {
  Event event = Crash();
  for (std::string* name :
       {&event.type, &event.worker, &event.from_state, &event.to_state}) {
    name->assign(kMaxNameBytes, 'n');
  }
  event.text.assign(kMaxTextBytes, 't');
  event.stderr_tail.assign(kMaxTailLines, std::string(kMaxTailLineBytes, 'l'));
  return event;
}

std::string Encoded(const Event& event) {
  std::string record;
  Encode(event, record);
  return record;
}

TEST(EventCodecTest, AnEventComesBackAsItWas) {
  EXPECT_THAT(Decode(Encoded(Crash())), Optional(Crash()));
}

TEST(EventCodecTest, ANodesOwnEventNeedsNothingOfAProcess) {
  const Event event{.time = absl::UnixEpoch(), .type = type::kAgentStarted};
  EXPECT_THAT(Decode(Encoded(event)), Optional(event));
}

TEST(EventCodecTest, TheLargestEventFitsTheLimit) {
  EXPECT_LE(Encoded(Largest()).size(), kMaxRecordBytes);
  EXPECT_THAT(Decode(Encoded(Largest())), Optional(Largest()));
}

TEST(EventCodecTest, NoPartOfARecordIsAnEvent) {
  const std::string record = Encoded(Crash());
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_EQ(Decode(record.substr(0, size)), std::nullopt) << size;
  }
}

TEST(EventCodecTest, BytesBehindARecordAreRefused) {
  EXPECT_EQ(Decode(Encoded(Crash()) + '\0'), std::nullopt);
}

TEST(EventCodecTest, OneByteOverALimitIsRefused) {
  for (const auto field : {&Event::type, &Event::worker, &Event::from_state,
                           &Event::to_state, &Event::text}) {
    Event event = Largest();
    event.*field += 'x';
    EXPECT_EQ(Decode(Encoded(event)), std::nullopt);
  }
  Event event = Largest();
  event.stderr_tail.back() += 'x';
  EXPECT_EQ(Decode(Encoded(event)), std::nullopt);
  event = Largest();
  event.stderr_tail.emplace_back();
  EXPECT_EQ(Decode(Encoded(event)), std::nullopt);
}

TEST(CutToLimitsTest, LeavesWhatFits) {
  Event event = Largest();
  CutToLimits(event);
  EXPECT_EQ(event, Largest());
}

TEST(CutToLimitsTest, ALongTextLosesItsEnd) {
  Event event{.text = std::string(kMaxTextBytes + 1, 'x')};
  CutToLimits(event);
  EXPECT_THAT(event.text, SizeIs(kMaxTextBytes));
  EXPECT_THAT(event.text, EndsWith("xxx..."));
}

TEST(CutToLimitsTest, ALongTailLosesItsOldestLines) {
  Event event;
  event.stderr_tail.assign(kMaxTailLines + 1, std::string(5000, 'x'));
  event.stderr_tail.front() = "oldest";
  event.stderr_tail.back() = "newest";
  CutToLimits(event);
  EXPECT_THAT(event.stderr_tail, SizeIs(kMaxTailLines));
  EXPECT_EQ(event.stderr_tail.back(), "newest");
  event.stderr_tail.pop_back();
  EXPECT_THAT(event.stderr_tail, Each(SizeIs(kMaxTailLineBytes)));
}

TEST(CutToLimitsTest, DoesNotCutACharacterInTwo) {
  Event event;
  for (size_t i = 0; i < kMaxTextBytes / 2 + 1; ++i) event.text += "\xC3\xBC";
  CutToLimits(event);
  EXPECT_THAT(event.text, EndsWith("\xC3\xBC..."));
}

}  // namespace
}  // namespace apm::events
