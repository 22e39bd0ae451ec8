#include "proxy/websocket/frame_writer.h"

#include <string>

#include <gtest/gtest.h>

namespace apm::websocket {
namespace {

using std::string_literals::operator""s;

std::string Message(bool is_text, const std::string& payload) {
  std::string out;
  AppendMessage(is_text, payload, out);
  return out;
}

std::string Close(uint16_t code, const std::string& reason) {
  std::string out;
  AppendClose(code, reason, out);
  return out;
}

TEST(FrameWriterTest, WritesTheExamplesOfRfc6455) {
  EXPECT_EQ(Message(true, "Hello"), "\x81\x05Hello");
  const std::string payload(256, 'x');
  EXPECT_EQ(Message(false, payload), "\x82\x7e\x01\x00"s + payload);
  const std::string large(65536, 'x');
  EXPECT_EQ(Message(false, large),
            "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s + large);
}

TEST(FrameWriterTest, WritesLengthsInTheFewestBytes) {
  EXPECT_EQ(Message(false, ""), "\x82\x00"s);
  EXPECT_EQ(Message(false, std::string(125, 'x')).size(), 2 + 125);
  EXPECT_EQ(Message(false, std::string(126, 'x')).size(), 4 + 126);
  EXPECT_EQ(Message(false, std::string(65535, 'x')).size(), 4 + 65535);
}

TEST(FrameWriterTest, PongEchoesThePing) {
  std::string out;
  AppendPong("Hello", out);
  EXPECT_EQ(out, "\x8a\x05Hello");
  out.clear();
  AppendPing(std::string(126, 'x'), out);
  EXPECT_EQ(out, "\x89\x7d" + std::string(125, 'x'));
}

TEST(FrameWriterTest, ClosesWithCodeAndReason) {
  EXPECT_EQ(Close(1000, "bye"),
            "\x88\x05\x03\xe8"
            "bye");
  EXPECT_EQ(Close(4999, ""), "\x88\x02\x13\x87");
}

TEST(FrameWriterTest, LeavesOutACodeThatIsNotForTheWire) {
  for (uint16_t code : {0, 42, 999, 1004, 1005, 1006, 1015, 2999, 5000}) {
    EXPECT_EQ(Close(code, "why"), "\x88\x00"s) << code;
  }
}

TEST(FrameWriterTest, CutsAReasonBetweenCharacters) {
  EXPECT_EQ(Close(1000, std::string(200, 'x')).size(), 2 + 125);
  // 122 bytes, then a character of two: only 122 fit.
  const std::string close = Close(1000, std::string(122, 'x') + "\xc3\xbc");
  EXPECT_EQ(close.size(), 2 + 2 + 122);
  EXPECT_EQ(close.back(), 'x');
}

TEST(FrameWriterTest, LeavesOutAReasonThatIsNotUtf8) {
  EXPECT_EQ(Close(1000, "a\xff"), "\x88\x02\x03\xe8");
  EXPECT_EQ(Close(1000, "a\xc3"), "\x88\x02\x03\xe8");
}

}  // namespace
}  // namespace apm::websocket
