#include "ipc/frame_encoder.h"

#include <cstddef>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ipc/frame.h"
#include "tests/testing/status_matchers.h"

namespace apm::ipc {
namespace {

using apm::testing::IsOk;
using apm::testing::StatusIs;
using ::testing::StartsWith;
using std::string_view_literals::operator""sv;

// The head and payload of the single frame `wire`, checked for its length.
struct Decoded {
  std::string head;
  std::string payload;
};
Decoded Decode(std::string_view wire) {
  size_t length = 0;
  for (size_t i = 1; i < 5; ++i) {
    length = length << 8 | static_cast<unsigned char>(wire[i]);
  }
  EXPECT_EQ(wire.front(), kFrameStart);
  EXPECT_EQ(wire.size(), length + 6);
  const size_t separator = wire.find(kFrameSeparator, 5);
  return {std::string(wire.substr(5, separator - 5)),
          std::string(wire.substr(separator + 1))};
}

TEST(FrameEncoderTest, DoesNotCountTheSeparator) {
  std::string out;
  ASSERT_THAT(AppendFrame("{}", "abc", out), IsOk());
  EXPECT_EQ(out,
            "\x05\x00\x00\x00\x05{}\x03"
            "abc"sv);
}

TEST(FrameEncoderTest, WritesDataAndChunkWithTheirType) {
  std::string data;
  std::string chunk;
  ASSERT_THAT(AppendData("s1", DataType::kText, "hi", data), IsOk());
  ASSERT_THAT(AppendChunk("s1", DataType::kBinary, "part", chunk), IsOk());
  EXPECT_EQ(Decode(data).head,
            R"({"_sessionId":"s1","_type":"data","dataType":"text"})");
  EXPECT_EQ(Decode(data).payload, "hi");
  EXPECT_EQ(Decode(chunk).head,
            R"({"_sessionId":"s1","_type":"chunk","dataType":"binary"})");
  EXPECT_EQ(Decode(chunk).payload, "part");
}

TEST(FrameEncoderTest, WritesEvents) {
  std::string closed;
  std::string drain;
  ASSERT_THAT(AppendConnectionClosed("s1", "client \"left\"", closed), IsOk());
  ASSERT_THAT(AppendDrain("", drain), IsOk());
  EXPECT_EQ(Decode(closed).head,
            R"({"_sessionId":"s1","_type":"event","_event":"connectionClosed",)"
            R"("reason":"client \"left\""})");
  EXPECT_EQ(Decode(drain).head,
            R"({"_sessionId":"","_type":"event","_event":"drain"})");
}

TEST(FrameEncoderTest, AppendsBehindEarlierFrames) {
  std::string out;
  ASSERT_THAT(AppendFrame("{}", "", out), IsOk());
  const std::string first = out;
  ASSERT_THAT(AppendFrame(R"({"a":1})", "x", out), IsOk());
  EXPECT_THAT(out, StartsWith(first));
  EXPECT_EQ(Decode(out.substr(first.size())).head, R"({"a":1})");
}

TEST(FrameEncoderTest, TakesTheLargestPayloadAndNotOneByteMore) {
  std::string out = "before";
  const std::string payload(kMaxPayloadBytes + 1, 'x');
  EXPECT_THAT(AppendData("s1", DataType::kBinary, payload, out),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(out, "before");
  EXPECT_THAT(AppendData("s1", DataType::kBinary,
                         std::string_view(payload).substr(1), out),
              IsOk());
}

TEST(FrameEncoderTest, TakesTheLargestHeadAndNotOneByteMore) {
  std::string out = "before";
  const std::string head(kMaxHeadToWorkerBytes + 1, ' ');
  EXPECT_THAT(AppendFrame(head, "", out),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(out, "before");
  EXPECT_THAT(AppendFrame(std::string_view(head).substr(1), "", out), IsOk());
}

}  // namespace
}  // namespace apm::ipc
