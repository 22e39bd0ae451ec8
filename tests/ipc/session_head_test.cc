#include "ipc/session_head.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipc/frame.h"
#include "tests/testing/status_matchers.h"

#include <nlohmann/json.hpp>

namespace apm::ipc {
namespace {

using apm::testing::IsOk;
using apm::testing::StatusIs;
using nlohmann::json;

class SessionHeadTest : public ::testing::Test {
 protected:
  SessionHeadTest() {
    session_.session_id = "p1-42";
    session_.protocol = "http";
    session_.method = "GET";
    session_.path = "/a/b%20c";
    session_.query = "q=1&q=2&r=x+y";
    session_.scheme = "http";
    session_.host = "example.org";
    session_.http_version = "1.1";
    session_.listener = "http://127.0.0.1:3000";
    session_.request_id = "r-1";
    session_.remote_port = 4711;
  }

  std::string Text(HeadDetail detail = HeadDetail::kFull) {
    session_.headers = headers_;
    session_.remote_addresses = addresses_;
    std::string out;
    EXPECT_THAT(encoder_.Append(session_, detail, out), IsOk());
    EXPECT_EQ(out.back(), kFrameSeparator);
    EXPECT_EQ(out.find(kFrameSeparator, kFramePrefixBytes), out.size() - 1);
    return out.substr(kFramePrefixBytes, out.size() - 1 - kFramePrefixBytes);
  }
  json Head(HeadDetail detail = HeadDetail::kFull) {
    return json::parse(Text(detail));
  }

  SessionHeadEncoder encoder_;
  SessionMetadata session_;
  std::vector<Field> headers_ = {{"Host", "example.org"}};
  std::vector<std::string_view> addresses_ = {"192.0.2.7", "10.0.0.1"};
};

TEST_F(SessionHeadTest, HasEveryKeyOfTheFormat) {
  EXPECT_EQ(Head(), json::parse(R"({
    "_sessionId": "p1-42", "_sessionType": "new", "_sessionData": {},
    "protocol": "http", "method": "GET", "path": "/a/b%20c",
    "query": "q=1&q=2&r=x+y", "path_array": ["a", "b c"],
    "query_object": {"q": ["1", "2"], "r": "x y"},
    "headers": {"host": "example.org"}, "cookies": {},
    "remoteAddress": "192.0.2.7, 10.0.0.1", "remotePort": 4711,
    "scheme": "http", "host": "example.org", "httpVersion": "1.1",
    "listener": "http://127.0.0.1:3000", "requestId": "r-1"})"));
}

TEST_F(SessionHeadTest, LeanHeadLeavesOutWhatAWorkerCanDerive) {
  json full = Head();
  full.erase("path_array");
  full.erase("query_object");
  full.erase("cookies");
  EXPECT_EQ(Head(HeadDetail::kLean), full);
}

TEST_F(SessionHeadTest, WhatAConnectionLacksIsNull) {
  session_.method = std::nullopt;
  session_.host = "";
  session_.http_version = "";
  session_.remote_port = std::nullopt;
  const json head = Head();
  for (const char* key : {"method", "host", "httpVersion", "remotePort"}) {
    EXPECT_TRUE(head[key].is_null()) << key;
  }
}

TEST_F(SessionHeadTest, MovedSessionBringsItsData) {
  session_.session_data = R"({"cart":[1,2]})";
  session_.resumed = true;
  const json head = Head();
  EXPECT_EQ(head["_sessionData"], json::parse(R"({"cart":[1,2]})"));
  EXPECT_EQ(head["_resumed"], true);
  EXPECT_EQ(head["_sessionType"], "new");
}

TEST_F(SessionHeadTest, HeaderNamesAreLowerCaseAndRepeatedOnesJoined) {
  headers_ = {{"Accept", "text/html"},
              {"X-A", "1"},
              {"accept", "*/*"},
              {"ACCEPT", "image/png"}};
  EXPECT_EQ(Head()["headers"],
            json::parse(R"({"accept":"text/html, */*, image/png","x-a":"1"})"));
}

TEST_F(SessionHeadTest, NamesThatLookAlikeAreNotJoined) {
  headers_ = {{"x-ab-y", "1"}, {"x-cd-y", "2"}, {"X-AB-Y", "3"}, {"", "4"}};
  EXPECT_EQ(Head()["headers"],
            json::parse(R"({"x-ab-y":"1, 3","x-cd-y":"2","":"4"})"));
}

TEST_F(SessionHeadTest, CookieLinesAreJoinedAndParsed) {
  headers_ = {{"Cookie", "a=1; b=%20"}, {"x", "y"}, {"cookie", "c=\"3\"; a=4"}};
  const json head = Head();
  EXPECT_EQ(head["headers"]["cookie"], "a=1; b=%20; c=\"3\"; a=4");
  EXPECT_EQ(head["cookies"], json::parse(R"({"a":"1","b":" ","c":"3"})"));
}

TEST_F(SessionHeadTest, BytesThatAreNoUtf8StillGiveValidJson) {
  session_.path = "/\xFF/%FF%03";
  session_.query = "\x80=%C3&a=%03";
  headers_ = {{"X-Latin", "caf\xE9"}, {"Cookie", "c=%FE"}};
  const json head = Head();
  EXPECT_EQ(head["headers"]["x-latin"], "caf\uFFFD");
  EXPECT_EQ(head["path_array"], json::array({"\uFFFD", "\uFFFD\x03"}));
  EXPECT_EQ(head["query_object"], (json{{"\uFFFD", "\uFFFD"}, {"a", "\x03"}}));
  EXPECT_EQ(head["cookies"]["c"], "\uFFFD");
}

TEST_F(SessionHeadTest, NothingAClientSendsCanEndAString) {
  session_.path = R"(/","_sessionId":"x)";
  session_.query = "\\\"";
  session_.host = "a\"b";
  headers_ = {{"X\"Y", "\",\"z\":\""}};
  addresses_ = {"unix\""};
  const json head = Head();
  EXPECT_EQ(head["_sessionId"], "p1-42");
  EXPECT_EQ(head["headers"], (json{{"x\"y", "\",\"z\":\""}}));
}

TEST_F(SessionHeadTest, TakesTheLongestHeadAndNotOneByteMore) {
  headers_ = {{"x", ""}};
  const size_t rest = kMaxHeadToWorkerBytes - Text().size();
  const std::string value(rest + 1, 'v');
  headers_ = {{"x", std::string_view(value).substr(1)}};
  EXPECT_EQ(Text().size(), kMaxHeadToWorkerBytes);

  headers_ = {{"x", value}};
  session_.headers = headers_;
  std::string out = "before";
  EXPECT_THAT(encoder_.Append(session_, HeadDetail::kFull, out),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(out, "before");
}

TEST_F(SessionHeadTest, NothingIsLeftOfTheHeadBefore) {
  headers_ = {{"cookie", "a=1"}};
  Text();
  headers_ = {};
  session_.query = "";
  const json head = Head();
  EXPECT_EQ(head["cookies"], json::object());
  EXPECT_EQ(head["query_object"], json::object());
  EXPECT_EQ(head["headers"], json::object());
}

}  // namespace
}  // namespace apm::ipc
