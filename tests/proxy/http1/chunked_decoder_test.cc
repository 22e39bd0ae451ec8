// The grammar is tested by tests/conformance/http1_requests.json; here are the
// limits and what a caller may rely on.

#include "proxy/http1/chunked_decoder.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace apm::http1 {
namespace {

using Event = ChunkedDecoder::Event;

// Feeds `bytes`; the last event.
Event Feed(ChunkedDecoder& decoder, std::string_view bytes) {
  Event event = Event::kNeedMore;
  do {
    event = decoder.Next(bytes);
  } while (event == Event::kData);
  return event;
}

TEST(ChunkedDecoderTest, HandsDataOnWithoutCopying) {
  const std::string body = "5\r\nhello\r\n0\r\n\r\n";
  std::string_view input = body;
  ChunkedDecoder decoder;
  ASSERT_EQ(decoder.Next(input), Event::kData);
  EXPECT_EQ(decoder.data(), "hello");
  EXPECT_EQ(decoder.data().data(), body.data() + 3);
}

TEST(ChunkedDecoderTest, LeavesTheNextRequestInTheInput) {
  std::string_view input = "0\r\n\r\nGET /";
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.Next(input), Event::kEnd);
  EXPECT_EQ(input, "GET /");
  EXPECT_EQ(decoder.Next(input), Event::kEnd);
  EXPECT_EQ(input, "GET /");
}

TEST(ChunkedDecoderTest, AnnouncesAChunkBeforeItsData) {
  ChunkedDecoder decoder;
  EXPECT_EQ(Feed(decoder, "2\r\nab\r\nffffff\r\n"), Event::kNeedMore);
  EXPECT_EQ(decoder.announced_bytes(), 2 + 0xffffff);
}

TEST(ChunkedDecoderTest, AllExtensionsTogetherMayHave8KiB) {
  const std::string extended = "1;" + std::string(255, 'x') + "\r\na\r\n";
  ChunkedDecoder decoder;
  for (int i = 0; i < 32; ++i) {
    ASSERT_EQ(Feed(decoder, extended), Event::kNeedMore);
  }
  EXPECT_EQ(Feed(decoder, "1\r\na\r\n"), Event::kNeedMore);
  EXPECT_EQ(Feed(decoder, "1;\r\n"), Event::kError);
  EXPECT_EQ(decoder.error().status, 400);
}

TEST(ChunkedDecoderTest, RefusesAnEndlessSizeLine) {
  ChunkedDecoder decoder;
  EXPECT_EQ(Feed(decoder, "1;" + std::string(272, 'x')), Event::kNeedMore);
  EXPECT_EQ(Feed(decoder, "x"), Event::kError);
  EXPECT_EQ(decoder.error().status, 400);
}

TEST(ChunkedDecoderTest, TrailersMayHave8KiB) {
  const std::string trailer = "X: " + std::string(8192 - 7, 'x') + "\r\n";
  ChunkedDecoder decoder;
  EXPECT_EQ(Feed(decoder, "0\r\n" + trailer + "\r\n"), Event::kEnd);
  ASSERT_EQ(decoder.trailers().size(), 1);
}

TEST(ChunkedDecoderTest, RefusesTrailersOneByteOver8KiBBeforeTheirEnd) {
  const std::string trailer = "X: " + std::string(8192 - 6, 'x') + "\r\n";
  ChunkedDecoder decoder;
  EXPECT_EQ(Feed(decoder, "0\r\n" + trailer), Event::kNeedMore);
  EXPECT_EQ(Feed(decoder, "\r\n"), Event::kError);
  EXPECT_EQ(decoder.error().status, 431);
}

TEST(ChunkedDecoderTest, RefusesTrailer101) {
  std::string body = "0\r\n";
  for (int i = 0; i < 100; ++i) body += "X: y\r\n";
  ChunkedDecoder decoder;
  EXPECT_EQ(Feed(decoder, body), Event::kNeedMore);
  EXPECT_EQ(Feed(decoder, "X: y\r\n"), Event::kError);
  EXPECT_EQ(decoder.error().status, 431);
}

TEST(ChunkedDecoderTest, ErrorsRepeatUntilReset) {
  ChunkedDecoder decoder;
  EXPECT_EQ(Feed(decoder, "x\r\n"), Event::kError);
  EXPECT_EQ(Feed(decoder, "0\r\n\r\n"), Event::kError);
  decoder.Reset();
  EXPECT_EQ(Feed(decoder, "0\r\n\r\n"), Event::kEnd);
}

}  // namespace
}  // namespace apm::http1
