// The format's cases are data: pipe_frames_test.cc. Here are those of the
// class: lifetimes, waiting, and what input may cost.

#include "ipc/frame_decoder.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipc/frame.h"
#include "ipc/worker_head.h"
#include "tests/ipc/wire.h"

namespace apm::ipc {
namespace {

using ::testing::ElementsAre;
using testing::Frame;
using testing::FromWorker;
using ::testing::IsEmpty;
using testing::Prefix;
using ::testing::SizeIs;
using testing::Stray;

constexpr std::string_view kReady = R"({"_command":"ready"})";

class FrameDecoderTest : public ::testing::Test {
 protected:
  void Feed(std::string_view bytes) { seen_.Feed(decoder_, bytes); }
  void Expire() {
    decoder_.Expire();
    seen_.Drain(decoder_);
  }
  void Finish() {
    decoder_.Finish();
    seen_.Drain(decoder_);
  }
  const auto& Seen() const { return seen_.lines(); }

  FrameDecoder decoder_;
  testing::Transcript seen_;
};

TEST_F(FrameDecoderTest, DoesNotCopyAFrameThatLiesWholeInTheInput) {
  const std::string input = FromWorker(kReady, "payload");
  decoder_.Feed(input);
  const std::optional<DecodedItem> item = decoder_.Next();
  ASSERT_TRUE(item);
  const auto& frame = std::get<WorkerFrame>(*item);
  EXPECT_EQ(frame.payload.data(), input.data() + input.size() - 7);
  EXPECT_EQ(frame.head_json.data(), input.data() + kFramePrefixBytes);
}

TEST_F(FrameDecoderTest, GivesTheParsedHead) {
  const std::string input =
      FromWorker(R"({"_command":"write","_session":"s1","a":"b"})", "x");
  decoder_.Feed(input);
  const std::optional<DecodedItem> item = decoder_.Next();
  ASSERT_TRUE(item);
  const WorkerHead& head = *std::get<WorkerFrame>(*item).head;
  EXPECT_EQ(head.session, "s1");
  EXPECT_THAT(head.headers, ElementsAre(Field{"a", "b"}));
}

TEST_F(FrameDecoderTest, ParsedHeadSurvivesAPayloadThatArrivesLater) {
  const std::string input = FromWorker(
      R"({"_command":"write","_session":"s1"})", std::string(100'000, 'x'));
  for (size_t i = 0; i < input.size(); i += 1000) {
    const std::string read = input.substr(i, 1000);
    decoder_.Feed(read);
    while (const std::optional<DecodedItem> item = decoder_.Next()) {
      const auto& frame = std::get<WorkerFrame>(*item);
      EXPECT_EQ(frame.head->session, "s1");
      EXPECT_EQ(frame.payload.size(), 100'000u);
      return;
    }
  }
  FAIL() << "no frame";
}

TEST_F(FrameDecoderTest, WaitsOnlyForAStartedFrame) {
  EXPECT_FALSE(decoder_.Waiting());
  Feed("text");
  EXPECT_FALSE(decoder_.Waiting());
  Feed("\x05");
  EXPECT_TRUE(decoder_.Waiting());
  Feed(FromWorker(kReady).substr(1));
  EXPECT_FALSE(decoder_.Waiting());
}

TEST_F(FrameDecoderTest, RefusesAnOversizedLengthAtItsFirstTellingByte) {
  Feed("\x05\x02");  // At least 32 MiB, whatever follows.
  EXPECT_FALSE(decoder_.Waiting());
  EXPECT_THAT(Seen(), ElementsAre(Stray("\x05\x02")));
}

TEST_F(FrameDecoderTest, TakesTheLongestHeadAndNotOneByteMore) {
  const auto head_of = [](size_t bytes) {
    std::string head(kReady);
    head.resize(bytes, ' ');
    return head;
  };
  const std::string longest = head_of(kMaxHeadFromWorkerBytes);
  Feed(FromWorker(longest, "x"));
  EXPECT_THAT(Seen(), ElementsAre(Frame(longest, "x")));

  // Refused before its separator arrives.
  Feed(Prefix(kMaxLengthFromWorker) + head_of(kMaxHeadFromWorkerBytes + 1));
  EXPECT_FALSE(decoder_.Waiting());
  EXPECT_THAT(Seen(), SizeIs(2));
}

TEST_F(FrameDecoderTest, TakesTheLargestPayloadAndNotOneByteMore) {
  const std::string payload(kMaxPayloadBytes, 'x');
  Feed(FromWorker(kReady, payload));
  EXPECT_THAT(Seen(), ElementsAre(Frame(kReady, payload)));

  // Refused before its payload arrives.
  const size_t too_long = LengthFromWorker(kReady.size(), kMaxPayloadBytes + 1);
  Feed(Prefix(too_long) + std::string(kReady) + kFrameSeparator);
  EXPECT_FALSE(decoder_.Waiting());
}

TEST_F(FrameDecoderTest, ExpireWithoutAStartedFrameDoesNothing) {
  Feed("text");
  Expire();
  Feed(FromWorker(kReady));
  EXPECT_THAT(Seen(), ElementsAre(Stray("text"), Frame(kReady, "")));
}

TEST_F(FrameDecoderTest, ExpireGivesUpOnlyTheFrameThatWaited) {
  const std::string inner = Prefix(0x200) + std::string(kReady) + "\x03";
  Feed(Prefix(0x100) + "{}\x03" + inner);
  Expire();
  EXPECT_THAT(Seen(), ElementsAre(Stray(Prefix(0x100) + "{}\x03")));
  EXPECT_TRUE(decoder_.Waiting());
}

TEST_F(FrameDecoderTest, InputAfterExpireIsJudgedAfresh) {
  Feed(std::string("\x05\0\0", 3));
  Expire();
  Feed(FromWorker(kReady));
  EXPECT_THAT(Seen(), ElementsAre(Stray(std::string("\x05\0\0", 3)),
                                  Frame(kReady, "")));
}

TEST_F(FrameDecoderTest, FinishFindsFramesInsideOfWhatItGivesUp) {
  Feed(Prefix(1000) + "{}\x03" + FromWorker(kReady, "in") + "rest\x05");
  EXPECT_THAT(Seen(), IsEmpty());
  Finish();
  EXPECT_THAT(Seen(), ElementsAre(Stray(Prefix(1000) + "{}\x03"),
                                  Frame(kReady, "in"), Stray("rest\x05")));
}

// The three tests below take hours with a decoder that reads bytes again for
// every 0x05 before them.

TEST_F(FrameDecoderTest, ManyCandidatesWithLongHeadsCostLinearTime) {
  std::string input;
  while (input.size() < (size_t{8} << 20)) {
    input += Prefix(0xFFFFF) + R"({"a":")";
  }
  Feed(input);
  Finish();
  EXPECT_THAT(Seen(), ElementsAre(Stray(input)));
}

TEST_F(FrameDecoderTest, StartBytesAloneCostLinearTime) {
  const std::string input(size_t{8} << 20, kFrameStart);
  Feed(input);
  Finish();
  EXPECT_THAT(Seen(), ElementsAre(Stray(input)));
}

TEST_F(FrameDecoderTest, HeadFedByteByByteCostsLinearTime) {
  std::string head = R"({"_command":"write","a":")";
  head.append(kMaxHeadFromWorkerBytes - head.size() - 2, 'x');
  head += "\"}";
  const std::string input = FromWorker(head, "");
  for (const char c : input) Feed(std::string_view(&c, 1));
  EXPECT_THAT(Seen(), ElementsAre(Frame(head, "")));
}

}  // namespace
}  // namespace apm::ipc
