#include "proxy/net/request_body.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace apm::net {
namespace {

class RequestBodyTest : public ::testing::Test {
 protected:
  void BeginLength(uint64_t length, uint64_t limit = 1 << 20) {
    http1::Request request;
    request.body = http1::BodyKind::kLength;
    request.content_length = length;
    body_.Begin(request, limit);
  }

  void BeginChunked(uint64_t limit = 1 << 20) {
    http1::Request request;
    request.body = http1::BodyKind::kChunked;
    body_.Begin(request, limit);
  }

  void Receive(std::string_view bytes) {
    const auto room = kit_->Room(/*may_move=*/true);
    ASSERT_GE(room.size(), bytes.size());
    std::copy(bytes.begin(), bytes.end(), room.begin());
    kit_->end += bytes.size();
  }

  RequestBody::Result Next() { return body_.Next(*kit_, piece_); }

  std::unique_ptr<InputKit> kit_ = std::make_unique<InputKit>();
  RequestBody body_;
  RequestBody::Piece piece_;
};

using Result = RequestBody::Result;

TEST_F(RequestBodyTest, NoBodyIsDoneAtOnce) {
  body_.Begin(http1::Request(), 0);
  EXPECT_TRUE(body_.done());
  BeginLength(0);
  EXPECT_TRUE(body_.done());
}

TEST_F(RequestBodyTest, AShortBodyIsOnePiece) {
  BeginLength(6);
  Receive("abc");
  EXPECT_EQ(Next(), Result::kNeedMore);
  Receive("defNEXT");
  ASSERT_EQ(Next(), Result::kPiece);
  EXPECT_EQ(piece_.bytes, "abcdef");
  EXPECT_TRUE(piece_.last);
  EXPECT_TRUE(body_.done());
  EXPECT_EQ(std::string_view(kit_->unread().data(), kit_->unread().size()),
            "NEXT");
}

TEST_F(RequestBodyTest, ALongBodyIsGivenOutAsItComes) {
  BeginLength(kInputBytes + 1);
  Receive("abc");
  ASSERT_EQ(Next(), Result::kPiece);
  EXPECT_EQ(piece_.bytes, "abc");
  EXPECT_FALSE(piece_.last);
  EXPECT_EQ(body_.left_bytes(), kInputBytes - 2);
}

TEST_F(RequestBodyTest, ChunksOfOneReadAreJoined) {
  BeginChunked();
  Receive("1\r\na\r\n2\r\nbc\r\n3\r\nde");
  ASSERT_EQ(Next(), Result::kPiece);
  EXPECT_EQ(piece_.bytes, "abcde");
  EXPECT_FALSE(piece_.last);
  Receive("f\r\n0\r\n\r\nNEXT");
  ASSERT_EQ(Next(), Result::kPiece);
  EXPECT_EQ(piece_.bytes, "f");
  EXPECT_TRUE(piece_.last);
  EXPECT_EQ(std::string_view(kit_->unread().data(), kit_->unread().size()),
            "NEXT");
}

TEST_F(RequestBodyTest, AnAnnouncedChunkOverTheLimitIsRefusedBeforeItsData) {
  BeginChunked(/*limit=*/10);
  Receive("a\r\n");
  EXPECT_EQ(Next(), Result::kNeedMore);
  BeginChunked(/*limit=*/9);
  kit_->chunked.Reset();
  Receive("a\r\n");
  EXPECT_EQ(Next(), Result::kTooLarge);
}

TEST_F(RequestBodyTest, ABadChunkIsAnError) {
  BeginChunked();
  Receive("x\r\n");
  ASSERT_EQ(Next(), Result::kError);
  EXPECT_EQ(body_.error().status, 400);
}

TEST_F(RequestBodyTest, AChunkedBodyBehindAnotherIsReadFromItsBeginning) {
  Receive("3\r\none\r\n0\r\n\r\n3\r\ntwo\r\n0\r\n\r\n");
  for (const std::string_view expected : {"one", "two"}) {
    BeginChunked();
    ASSERT_EQ(Next(), RequestBody::Result::kPiece);
    EXPECT_EQ(piece_.bytes, expected);
    EXPECT_TRUE(body_.done());
  }
}

}  // namespace
}  // namespace apm::net
