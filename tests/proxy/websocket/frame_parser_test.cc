// What is read from which bytes is tested by tests/conformance/websocket.json;
// here are time, memory and what a caller may rely on.

#include "proxy/websocket/frame_parser.h"

#include <span>
#include <string>

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::websocket {
namespace {

using Event = FrameParser::Event;

const std::string kEmptyPing("\x89\x80\0\0\0\0", 6);

// A frame whose key is zero: its payload is readable.
std::string Frame(int first_byte, const std::string& payload) {
  std::string frame(1, static_cast<char>(first_byte));
  frame.push_back(static_cast<char>(0x80 | payload.size()));
  return frame.append(4, '\0') + payload;
}

class FrameParserTest : public ::testing::Test {
 protected:
  Event Next(std::string bytes, absl::Duration now = absl::ZeroDuration()) {
    buffer_ = std::move(bytes);
    input_ = buffer_;
    return parser_.Next(input_, now);
  }

  std::string buffer_;
  std::span<char> input_;
  FrameParser parser_;
};

TEST_F(FrameParserTest, HandsAWholeMessageOnWithoutCopying) {
  ASSERT_EQ(Next(Frame(0x82, "hello")), Event::kMessage);
  EXPECT_EQ(parser_.payload(), "hello");
  EXPECT_EQ(parser_.payload().data(), buffer_.data() + 6);
}

TEST_F(FrameParserTest, LeavesWhatFollowsInTheInput) {
  ASSERT_EQ(Next(Frame(0x81, "a") + Frame(0x82, "b")), Event::kMessage);
  EXPECT_TRUE(parser_.is_text());
  EXPECT_EQ(input_.size(), 7);
  ASSERT_EQ(parser_.Next(input_, absl::ZeroDuration()), Event::kMessage);
  EXPECT_FALSE(parser_.is_text());
  EXPECT_EQ(parser_.payload(), "b");
}

TEST_F(FrameParserTest, HoldsWhatArrivedAndNotWhatWasAnnounced) {
  const std::string announced("\x82\xff\0\0\0\0\0\x0f\0\0\0\0\0\0", 14);
  EXPECT_EQ(Next(announced + "abc"), Event::kNeedMore);
  EXPECT_LT(parser_.buffered_bytes(), 100);
}

TEST_F(FrameParserTest, GivesALargeMessagesMemoryBack) {
  const std::string half(100000, 'x');
  const std::string header("\x82\xff\0\0\0\0\0\x03\x0d\x40\0\0\0\0", 14);
  EXPECT_EQ(Next(header + half), Event::kNeedMore);
  EXPECT_EQ(Next(half), Event::kMessage);
  EXPECT_EQ(parser_.payload(), half + half);
  EXPECT_GE(parser_.buffered_bytes(), 200000);
  EXPECT_EQ(Next(""), Event::kNeedMore);
  EXPECT_LE(parser_.buffered_bytes(), 4096);
}

TEST_F(FrameParserTest, ControlFramesMayComeTenTimesASecond) {
  absl::Duration now = absl::Seconds(100);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Next(kEmptyPing, now), Event::kPing) << i;
    now += absl::Milliseconds(100);
  }
}

TEST_F(FrameParserTest, ABurstOfControlFramesIsPaidBackInTime) {
  const absl::Duration start = absl::Seconds(100);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Next(kEmptyPing, start), Event::kPing);
  EXPECT_EQ(Next(kEmptyPing, start + absl::Milliseconds(100)), Event::kPing);
  EXPECT_EQ(Next(kEmptyPing, start + absl::Milliseconds(199)), Event::kError);
  EXPECT_EQ(parser_.close_code(), CloseCode::kPolicyViolation);
}

TEST_F(FrameParserTest, CloseIsNotAMatterOfRate) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Next(kEmptyPing), Event::kPing);
  EXPECT_EQ(Next(Frame(0x88, "")), Event::kClose);
}

TEST_F(FrameParserTest, ReadsNothingAfterAClose) {
  EXPECT_EQ(Next(Frame(0x88, "\x03\xe8")), Event::kClose);
  EXPECT_EQ(Next(Frame(0x81, "a")), Event::kClose);
  EXPECT_EQ(input_.size(), 7);
  EXPECT_EQ(parser_.close_code(), CloseCode::kNormal);
}

TEST_F(FrameParserTest, ErrorsRepeat) {
  EXPECT_EQ(Next("\x81\x01z"), Event::kError);
  EXPECT_EQ(Next(Frame(0x81, "a")), Event::kError);
  EXPECT_EQ(parser_.close_code(), CloseCode::kProtocolError);
}

TEST(FrameLimitsTest, AreTheCallers) {
  FrameParser parser(FrameLimits{.message_bytes = 3});
  std::string frames = Frame(0x82, "abc") + Frame(0x82, "abcd");
  std::span<char> input(frames);
  EXPECT_EQ(parser.Next(input, absl::ZeroDuration()), Event::kMessage);
  EXPECT_EQ(parser.Next(input, absl::ZeroDuration()), Event::kError);
  EXPECT_EQ(parser.close_code(), CloseCode::kMessageTooBig);
}

}  // namespace
}  // namespace apm::websocket
