#include "agent/supervisor/memo.h"

#include <signal.h>

#include <cstddef>
#include <optional>
#include <string>

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::supervisor {
namespace {

const absl::Time kSomeTime = absl::FromUnixMicros(1'790'000'000'123'456);

ProcessMemo FullProcessMemo() {
  ProcessMemo memo;
  memo.phase = ProcessMemo::Phase::kStopping;
  memo.role = Role::kOutgoing;
  memo.stop_reason = StopReason::kReplaced;
  memo.signalled = true;
  memo.torn = true;
  memo.ready = kSomeTime;
  memo.connector = "node/1.0";
  memo.problem = "closed its stdin";
  return memo;
}

InstanceMemo FullInstanceMemo() {
  InstanceMemo memo;
  memo.state = InstanceState::kCrashloop;
  memo.generation = uint64_t{3} << 32;
  memo.restarts = 12;
  memo.pacer = {.in_a_row = 9,
                .looping = true,
                .ends = {kSomeTime, kSomeTime + absl::Seconds(3)}};
  memo.next_retry = kSomeTime + absl::Minutes(1);
  memo.last_exit = ProcessExit{.code = -1,
                               .signal = SIGSEGV,
                               .core_dumped = true,
                               .user_time = absl::Microseconds(17),
                               .system_time = absl::Seconds(4),
                               .max_rss_kb = 70'000,
                               .unix_ms = 1'790'000'000'000};
  memo.problem = "killed by SIGSEGV (core dumped)";
  return memo;
}

TEST(MemoTest, IsReadAsItWasWritten) {
  EXPECT_EQ(DecodeProcessMemo(Encode(ProcessMemo{})), ProcessMemo{});
  EXPECT_EQ(DecodeProcessMemo(Encode(FullProcessMemo())), FullProcessMemo());
  EXPECT_EQ(DecodeInstanceMemo(Encode(InstanceMemo{})), InstanceMemo{});
  EXPECT_EQ(DecodeInstanceMemo(Encode(FullInstanceMemo())), FullInstanceMemo());
}

TEST(MemoTest, NeitherKindIsTheOther) {
  EXPECT_EQ(DecodeInstanceMemo(Encode(FullProcessMemo())), std::nullopt);
  EXPECT_EQ(DecodeProcessMemo(Encode(FullInstanceMemo())), std::nullopt);
}

TEST(MemoTest, AnotherVersionIsNotRead) {
  std::string bytes = Encode(FullProcessMemo());
  ++bytes[1];
  EXPECT_EQ(DecodeProcessMemo(bytes), std::nullopt);
}

TEST(MemoTest, ACutOffOneIsNotRead) {
  const std::string process = Encode(FullProcessMemo());
  for (size_t size = 0; size < process.size(); ++size) {
    EXPECT_EQ(DecodeProcessMemo(process.substr(0, size)), std::nullopt) << size;
  }
  const std::string instance = Encode(FullInstanceMemo());
  for (size_t size = 0; size < instance.size(); ++size) {
    EXPECT_EQ(DecodeInstanceMemo(instance.substr(0, size)), std::nullopt)
        << size;
  }
}

TEST(MemoTest, OneThatGoesOnIsNotRead) {
  EXPECT_EQ(DecodeProcessMemo(Encode(ProcessMemo{}) + '\0'), std::nullopt);
  EXPECT_EQ(DecodeInstanceMemo(Encode(InstanceMemo{}) + '\0'), std::nullopt);
}

TEST(MemoTest, WhateverIsReadIsWrittenTheSameWay) {
  // Every byte of a good one, changed to everything it can be.
  const std::string good = Encode(FullInstanceMemo());
  for (size_t at = 0; at < good.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(value);
      const std::optional<InstanceMemo> memo = DecodeInstanceMemo(bytes);
      if (!memo) continue;
      EXPECT_EQ(Encode(*memo), bytes) << at << " " << value;
    }
  }
}

TEST(MemoTest, ALongTextIsCutAtACharacter) {
  ProcessMemo memo;
  memo.problem = std::string(kMaxMemoText - 1, 'x');
  memo.connector = std::string(kMaxMemoText, 'y');
  EXPECT_EQ(DecodeProcessMemo(Encode(memo)), memo);
  ProcessMemo longer = memo;
  longer.problem += "\xC3\xA4";  // Half of it would fit.
  longer.connector += 'y';
  EXPECT_EQ(DecodeProcessMemo(Encode(longer)), memo);
}

TEST(MemoTest, OfManyEndsTheLatestAreKept) {
  InstanceMemo memo;
  for (size_t i = 0; i < kMaxMemoEnds + 1; ++i) {
    memo.pacer.ends.push_back(kSomeTime + absl::Seconds(i));
  }
  const std::optional<InstanceMemo> read = DecodeInstanceMemo(Encode(memo));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->pacer.ends.size(), kMaxMemoEnds);
  EXPECT_EQ(read->pacer.ends.front(), kSomeTime + absl::Seconds(1));
}

TEST(MemoTest, IsSmall) {
  EXPECT_LE(Encode(ProcessMemo{}).size(), 16U);
  EXPECT_LE(Encode(InstanceMemo{}).size(), 16U);
}

}  // namespace
}  // namespace apm::supervisor
