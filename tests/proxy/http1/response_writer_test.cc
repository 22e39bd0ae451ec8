#include "proxy/http1/response_writer.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/http1/date_line.h"
#include "proxy/http1/error_response.h"
#include "tests/testing/status_matchers.h"

namespace apm::http1 {
namespace {

using ::apm::testing::StatusIs;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kDate = "Date: today\r\n";
constexpr Exchange kHttp11 = {Version::kHttp11, false, true};
constexpr Exchange kHttp11Close = {Version::kHttp11, false, false};
constexpr Exchange kHttp11Head = {Version::kHttp11, true, true};
constexpr Exchange kHttp10 = {Version::kHttp10, false, false};
constexpr Exchange kHttp10KeepAlive = {Version::kHttp10, false, true};

class ResponseWriterTest : public ::testing::Test {
 protected:
  // The whole answer, or its refusal in status_.
  std::string Write(const Exchange& exchange, int status,
                    const std::vector<Field>& fields,
                    std::optional<std::string_view> body) {
    std::optional<uint64_t> body_bytes;
    if (body) body_bytes = body->size();
    std::string out;
    const absl::StatusOr<ResponseFraming> framing =
        AppendResponseHead(exchange, status, fields, body_bytes, kDate, out);
    status_ = framing.status();
    if (!framing.ok()) return out;
    framing_ = *framing;
    BodyWriter writer(*framing);
    if (body) {
      EXPECT_TRUE(writer.Append(*body, out));
      EXPECT_TRUE(writer.Finish(out));
    }
    return out;
  }

  absl::Status Refusal(const std::vector<Field>& fields) {
    EXPECT_EQ(Write(kHttp11, 200, fields, "abc"), "");
    return status_;
  }

  absl::Status status_;
  ResponseFraming framing_;
};

TEST_F(ResponseWriterTest, WritesACompleteAnswerWithItsLength) {
  EXPECT_EQ(Write(kHttp11, 200, {{"content-type", "text/plain"}}, "hello"),
            "HTTP/1.1 200 OK\r\nDate: today\r\ncontent-type: text/plain\r\n"
            "Content-Length: 5\r\n\r\nhello");
  EXPECT_TRUE(framing_.keep_alive);
}

TEST_F(ResponseWriterTest, WritesAnAnswerOfUnknownLengthInChunks) {
  const std::string head = Write(kHttp11, 404, {}, std::nullopt);
  EXPECT_EQ(head,
            "HTTP/1.1 404 Not Found\r\nDate: today\r\n"
            "Transfer-Encoding: chunked\r\n\r\n");
  BodyWriter writer(framing_);
  std::string body;
  EXPECT_TRUE(writer.Append("0123456789abcdef", body));
  EXPECT_TRUE(writer.Append("", body));  // Must not end the body.
  EXPECT_TRUE(writer.Append("x", body));
  EXPECT_TRUE(writer.Finish(body));
  EXPECT_EQ(body, "10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n");
}

TEST_F(ResponseWriterTest, EndsAnAnswerOfUnknownLengthToHttp10ByClosing) {
  EXPECT_EQ(Write(kHttp10KeepAlive, 200, {}, std::nullopt),
            "HTTP/1.1 200 OK\r\nDate: today\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(framing_.framing, Framing::kClose);
  EXPECT_FALSE(framing_.keep_alive);
  BodyWriter writer(framing_);
  std::string body;
  EXPECT_TRUE(writer.Append("abc", body));
  EXPECT_TRUE(writer.Finish(body));
  EXPECT_EQ(body, "abc");
}

TEST_F(ResponseWriterTest, SaysWhetherTheConnectionLives) {
  EXPECT_THAT(Write(kHttp11, 200, {}, ""), Not(HasSubstr("Connection")));
  EXPECT_THAT(Write(kHttp11Close, 200, {}, ""),
              HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(Write(kHttp10KeepAlive, 200, {}, ""),
              HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_THAT(Write(kHttp10, 200, {}, ""), HasSubstr("Connection: close\r\n"));
}

TEST_F(ResponseWriterTest, HopByHopFieldsOfTheWorkerAreOurs) {
  const std::string answer = Write(kHttp11, 200,
                                   {{"Connection", "close"},
                                    {"keep-alive", "timeout=9"},
                                    {"Transfer-Encoding", "gzip"},
                                    {"te", "trailers"},
                                    {"Trailer", "x"},
                                    {"UPGRADE", "h2c"},
                                    {"proxy-connection", "close"},
                                    {"x", "y"}},
                                   "");
  EXPECT_EQ(answer,
            "HTTP/1.1 200 OK\r\nDate: today\r\nx: y\r\n"
            "Content-Length: 0\r\n\r\n");
}

TEST_F(ResponseWriterTest, TheWorkersDateWins) {
  const std::string answer = Write(kHttp11, 200, {{"date", "then"}}, "");
  EXPECT_THAT(answer, HasSubstr("date: then\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("today")));
}

TEST_F(ResponseWriterTest, RepeatedFieldsStayApart) {
  EXPECT_THAT(
      Write(kHttp11, 200, {{"set-cookie", "a=1"}, {"set-cookie", "b=2"}}, ""),
      HasSubstr("set-cookie: a=1\r\nset-cookie: b=2\r\n"));
}

TEST_F(ResponseWriterTest, RefusesFieldsThatWouldSplitTheResponse) {
  using std::string_literals::operator""s;
  const std::string nul = "a\0b"s;
  for (std::string_view value :
       {std::string_view("a\r\nb"), std::string_view("a\n"),
        std::string_view("\r"), std::string_view(nul)}) {
    EXPECT_THAT(Refusal({{"x", value}}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  for (std::string_view name : {"", "a b", "a:", "a\r\nb", "\xc3\xbc", "a "}) {
    EXPECT_THAT(Refusal({{name, "v"}}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(ResponseWriterTest, RefusesAStatusThatIsNoFinalAnswer) {
  for (int status : {-1, 0, 99, 100, 101, 199, 600, 1000}) {
    EXPECT_EQ(Write(kHttp11, status, {}, ""), "");
    EXPECT_THAT(status_, StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(Write(kHttp11, 299, {}, ""), StartsWith("HTTP/1.1 299 \r\n"));
  EXPECT_THAT(Write(kHttp11, 599, {}, ""), StartsWith("HTTP/1.1 599 \r\n"));
}

TEST_F(ResponseWriterTest, RefusesAContentLengthThatIsNotTheBodys) {
  for (std::string_view value : {"2", "4", "+3", "", "3, 3", "x"}) {
    EXPECT_THAT(Refusal({{"content-length", value}}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(Refusal({{"content-length", "3"}, {"Content-Length", "3"}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Write(kHttp11, 200, {{"content-length", "3"}}, "abc"),
              HasSubstr("Content-Length: 3\r\n"));
}

TEST_F(ResponseWriterTest, HoldsTheWorkerToTheLengthItAnnounced) {
  Write(kHttp11, 200, {{"content-length", "3"}}, std::nullopt);
  ASSERT_EQ(framing_.framing, Framing::kLength);
  BodyWriter writer(framing_);
  std::string body;
  EXPECT_TRUE(writer.Append("ab", body));
  EXPECT_FALSE(writer.Append("cd", body));
  EXPECT_EQ(body, "ab");
  EXPECT_FALSE(writer.Finish(body));
  EXPECT_TRUE(writer.Append("c", body));
  EXPECT_TRUE(writer.Finish(body));
  EXPECT_EQ(body, "abc");
}

TEST_F(ResponseWriterTest, HeadHasTheFieldsOfGetAndNoBody) {
  EXPECT_EQ(Write(kHttp11Head, 200, {}, "hello"),
            "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(Write(kHttp11Head, 200, {{"content-length", "7"}}, ""),
            "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 7\r\n\r\n");
  EXPECT_EQ(Write(kHttp11Head, 200, {}, std::nullopt),
            "HTTP/1.1 200 OK\r\nDate: today\r\n\r\n");
  EXPECT_TRUE(framing_.keep_alive);
}

TEST_F(ResponseWriterTest, AnswersWithoutBodyHaveNeitherBodyNorTerminator) {
  EXPECT_EQ(Write(kHttp11, 204, {{"content-length", "3"}}, "abc"),
            "HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n");
  EXPECT_EQ(Write(kHttp11, 304, {{"content-length", "3"}}, ""),
            "HTTP/1.1 304 Not Modified\r\nDate: today\r\n"
            "Content-Length: 3\r\n\r\n");
  EXPECT_EQ(Write(kHttp11, 205, {}, "abc"),
            "HTTP/1.1 205 Reset Content\r\nDate: today\r\n"
            "Content-Length: 0\r\n\r\n");
  EXPECT_EQ(Write(kHttp10KeepAlive, 204, {}, std::nullopt),
            "HTTP/1.1 204 No Content\r\nDate: today\r\n"
            "Connection: keep-alive\r\n\r\n");
}

TEST(InterimHeadTest, PassesEarlyHints) {
  const std::vector<Field> fields = {{"link", "</a>"}, {"connection", "x"}};
  std::string out;
  EXPECT_TRUE(AppendInterimHead(kHttp11, 103, fields, out).ok());
  EXPECT_EQ(out, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
}

TEST(InterimHeadTest, IsNeverForHttp10NorAnUpgradeNorFinal) {
  std::string out;
  EXPECT_FALSE(AppendInterimHead(kHttp10, 103, {}, out).ok());
  EXPECT_FALSE(AppendInterimHead(kHttp11, 101, {}, out).ok());
  EXPECT_FALSE(AppendInterimHead(kHttp11, 200, {}, out).ok());
  EXPECT_EQ(out, "");
}

TEST(DateLineTest, FormatsTheExampleOfRfc9110) {
  DateLine line;
  EXPECT_EQ(line.At(784111777), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  EXPECT_EQ(line.At(784111777), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  EXPECT_EQ(line.At(0), "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
  EXPECT_EQ(line.At(1709251199), "Date: Thu, 29 Feb 2024 23:59:59 GMT\r\n");
}

TEST(ErrorResponseTest, SaysWhatHappenedAndClosesWhereTheNextRequestIsLost) {
  std::string out;
  EXPECT_FALSE(AppendErrorResponse(kHttp11, {400, "two Hosts", std::nullopt},
                                   kDate, out));
  EXPECT_EQ(out,
            "HTTP/1.1 400 Bad Request\r\nDate: today\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 27\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
            "400 Bad Request: two Hosts\n");
}

TEST(ErrorResponseTest, KeepsTheConnectionOtherwise) {
  for (int status : {404, 429, 500, 502, 503, 504}) {
    std::string out;
    EXPECT_TRUE(AppendErrorResponse(kHttp11, {status, "", {}}, kDate, out));
    EXPECT_THAT(out, Not(HasSubstr("Connection:")));
  }
  std::string out;
  EXPECT_TRUE(AppendErrorResponse(kHttp10KeepAlive, {404, "", {}}, kDate, out));
  EXPECT_THAT(out, HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_FALSE(AppendErrorResponse(kHttp11Close, {404, "", {}}, kDate, out));
}

TEST(ErrorResponseTest, EveryStatusHasASentenceOfItsOwn) {
  for (int status :
       {400, 404, 405, 408, 413, 414, 426, 429, 431, 501, 502, 503, 504, 505}) {
    std::string out;
    AppendErrorResponse(kHttp11, {status, "", {}}, kDate, out);
    EXPECT_THAT(out, Not(HasSubstr("could not be answered"))) << status;
  }
}

TEST(ErrorResponseTest, TellsWhenToComeBack) {
  std::string out;
  AppendErrorResponse(kHttp11, {503, "", 5}, kDate, out);
  EXPECT_THAT(out, HasSubstr("Retry-After: 5\r\n"));
}

TEST(ErrorResponseTest, NamesTheMethodsAllowedAndTheProtocolRequired) {
  std::string out;
  AppendErrorResponse(kHttp11, {405, "", {}}, kDate, out);
  EXPECT_THAT(out, HasSubstr("Allow: GET, "));
  out.clear();
  EXPECT_TRUE(AppendErrorResponse(kHttp11, {426, "", {}}, kDate, out));
  EXPECT_THAT(out, HasSubstr("Upgrade: websocket\r\n"
                             "Sec-WebSocket-Version: 13\r\n"
                             "Connection: upgrade\r\n"));
  out.clear();
  AppendErrorResponse(kHttp11Close, {426, "", {}}, kDate, out);
  EXPECT_THAT(out, HasSubstr("Connection: upgrade, close\r\n"));
}

TEST(ErrorResponseTest, HasNoBodyForHead) {
  std::string out;
  AppendErrorResponse(kHttp11Head, {404, "", {}}, kDate, out);
  EXPECT_THAT(out, EndsWith("\r\n\r\n"));
  EXPECT_THAT(out, Not(HasSubstr("Content-Length: 0\r\n")));
}

}  // namespace
}  // namespace apm::http1
