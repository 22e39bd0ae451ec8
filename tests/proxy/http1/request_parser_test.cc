#include "proxy/http1/request_parser.h"

#include <cstddef>
#include <span>
#include <string>

#include <gtest/gtest.h>

namespace apm::http1 {
namespace {

using Result = RequestParser::Result;

class RequestParserTest : public ::testing::Test {
 protected:
  // Feeds `bytes` behind what came before.
  Result Parse(const std::string& bytes) {
    buffer_ += bytes;
    return parser_.Parse(buffer_);
  }

  int Status() const { return parser_.error().status; }

  std::string buffer_;
  RequestParser parser_;
};

TEST_F(RequestParserTest, RefusesAnEndlessRequestLineOneByteOverItsLimit) {
  const std::string start = "GET /" + std::string(8192 - 5, 'a');
  EXPECT_EQ(Parse(start), Result::kNeedMore);
  EXPECT_EQ(Parse("a"), Result::kNeedMore);  // Could be the CR.
  EXPECT_EQ(Parse("a"), Result::kError);
  EXPECT_EQ(Status(), 414);
}

TEST_F(RequestParserTest, RefusesAnEndlessHeadOnceItCannotFit) {
  const std::string start = "GET / HTTP/1.1\r\nX: ";
  EXPECT_EQ(Parse(start + std::string(32767 - start.size(), 'a')),
            Result::kNeedMore);
  EXPECT_EQ(Parse("a"), Result::kError);
  EXPECT_EQ(Status(), 431);
}

TEST_F(RequestParserTest, RefusesField101WithoutWaitingForTheEnd) {
  std::string head = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 100; ++i) head += "X: y\r\n";
  EXPECT_EQ(Parse(head), Result::kNeedMore);
  EXPECT_EQ(Parse("X: y\r\n"), Result::kError);
  EXPECT_EQ(Status(), 431);
}

TEST_F(RequestParserTest, RefusesABadFieldWithoutWaitingForTheEnd) {
  EXPECT_EQ(Parse("GET / HTTP/1.1\r\nX : y\r\n"), Result::kError);
  EXPECT_EQ(Status(), 400);
}

TEST_F(RequestParserTest, LeavesTheBodyAlone) {
  EXPECT_EQ(Parse("POST / HTTP/1.1\r\nHost: A\r\nContent-Length: 3\r\n\r\nA:B"),
            Result::kComplete);
  EXPECT_EQ(buffer_.substr(parser_.request().head_bytes), "A:B");
}

TEST_F(RequestParserTest, ViewsPointIntoTheBufferThatCompletedTheHead) {
  std::string first = "GET /a?b HTTP/1.1\r\nHost: x\r\n";
  EXPECT_EQ(parser_.Parse(first), Result::kNeedMore);
  std::string second = first + "\r\n";
  first.assign(first.size(), '?');
  ASSERT_EQ(parser_.Parse(second), Result::kComplete);
  const Request& request = parser_.request();
  EXPECT_EQ(request.method.data(), second.data());
  EXPECT_EQ(request.fields[0].value.data(), second.data() + 25);
  EXPECT_EQ(request.path, "/a");
  EXPECT_EQ(request.host, "x");
}

TEST_F(RequestParserTest, VerdictsRepeatUntilReset) {
  EXPECT_EQ(Parse("GET /\r\n"), Result::kError);
  EXPECT_EQ(Parse("GET / HTTP/1.1\r\n"), Result::kError);
  EXPECT_EQ(Status(), 400);
  parser_.Reset();
  buffer_.clear();
  EXPECT_EQ(Parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Result::kComplete);
  EXPECT_EQ(Parse("more"), Result::kComplete);
}

TEST_F(RequestParserTest, FindsFieldsByLowerCaseName) {
  ASSERT_EQ(Parse("GET / HTTP/1.1\r\nHost: a\r\nX-Y: 1\r\nx-y: 2\r\n\r\n"),
            Result::kComplete);
  ASSERT_NE(parser_.request().Find("x-y"), nullptr);
  EXPECT_EQ(parser_.request().Find("x-y")->value, "1");
  EXPECT_EQ(parser_.request().Find("X-Y"), nullptr);
}

TEST_F(RequestParserTest, ReusesItsStorage) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
  ASSERT_EQ(Parse(head), Result::kComplete);
  const Field* const fields = parser_.request().fields.data();
  parser_.Reset();
  buffer_.clear();
  ASSERT_EQ(Parse(head), Result::kComplete);
  EXPECT_EQ(parser_.request().fields.data(), fields);
}

TEST(RequestLimitsTest, AreTheCallers) {
  RequestParser parser(
      RequestLimits{.request_line_bytes = 20, .head_bytes = 40, .fields = 1});
  std::string two_fields = "GET / HTTP/1.1\r\nA: b\r\nC: d\r\n";
  EXPECT_EQ(parser.Parse(two_fields), Result::kError);
  EXPECT_EQ(parser.error().status, 431);
}

}  // namespace
}  // namespace apm::http1
