#include "proxy/websocket/handshake.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/http1/request_parser.h"

namespace apm::websocket {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

// An upgrade request of which single lines can be changed.
struct RequestText {
  std::string request_line = "GET /chat HTTP/1.1";
  std::string upgrade = "Upgrade: websocket\r\n";
  std::string connection = "Connection: keep-alive, Upgrade\r\n";
  std::string version = "Sec-WebSocket-Version: 13\r\n";
  std::string key = "Sec-WebSocket-Key: " + std::string(kKey) + "\r\n";
  std::string more;
};

class HandshakeTest : public ::testing::Test {
 protected:
  const http1::Request& Parse(const RequestText& text) {
    parser_.Reset();
    buffer_ = text.request_line + "\r\nHost: a.example\r\n" + text.upgrade +
              text.connection + text.version + text.key + text.more + "\r\n";
    EXPECT_EQ(parser_.Parse(buffer_), http1::RequestParser::Result::kComplete);
    return parser_.request();
  }

  Handshake Read(const RequestText& text) {
    const http1::Request& request = Parse(text);
    EXPECT_TRUE(IsUpgradeRequest(request));
    Handshake handshake = ReadHandshake(request);
    EXPECT_EQ(handshake.reason.empty(), handshake.status == 101);
    return handshake;
  }

  std::string buffer_;
  http1::RequestParser parser_;
};

TEST_F(HandshakeTest, AcceptsTheExampleOfRfc6455) {
  const Handshake handshake = Read({});
  EXPECT_EQ(handshake.status, 101);
  EXPECT_EQ(std::string_view(handshake.accept.data(), handshake.accept.size()),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_THAT(handshake.protocols, IsEmpty());
}

TEST_F(HandshakeTest, AnswersWith101) {
  std::string out;
  AppendSwitchingProtocols(Read({}).accept, "", out);
  EXPECT_EQ(out,
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  out.clear();
  AppendSwitchingProtocols(Read({}).accept, "chat", out);
  EXPECT_THAT(out,
              ::testing::EndsWith("\r\nSec-WebSocket-Protocol: chat\r\n\r\n"));
}

TEST_F(HandshakeTest, ListsTheProtocolsOfAllLinesInOrder) {
  RequestText text;
  text.more =
      "Sec-WebSocket-Protocol: chat, superchat\r\n"
      "Sec-WebSocket-Protocol: echo\r\n";
  EXPECT_THAT(Read(text).protocols, ElementsAre("chat", "superchat", "echo"));
}

TEST_F(HandshakeTest, RefusesAProtocolThatIsNotAToken) {
  for (const char* protocol : {"a b", "", "a,,b", "a/b"}) {
    RequestText text;
    text.more = "Sec-WebSocket-Protocol: " + std::string(protocol) + "\r\n";
    EXPECT_EQ(Read(text).status, 400) << protocol;
  }
}

TEST_F(HandshakeTest, RefusesAnotherVersionWith426) {
  for (const char* version :
       {"", "Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Version: 013\r\n",
        "Sec-WebSocket-Version: 13, 8\r\n",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n"}) {
    RequestText text;
    text.version = version;
    EXPECT_EQ(Read(text).status, 426) << version;
  }
}

TEST_F(HandshakeTest, RefusesAKeyThatIsNot16Bytes) {
  for (const char* key :
       {"", "Sec-WebSocket-Key:\r\n", "Sec-WebSocket-Key: dGhl\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n",  // Stray bits.
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n",  // 17 bytes.
        "Sec-WebSocket-Key: dGhlIHNhb-BsZSBub25jZQ==\r\n"}) {
    RequestText text;
    text.key = key;
    EXPECT_EQ(Read(text).status, 400) << key;
  }
}

TEST_F(HandshakeTest, RefusesTwoKeys) {
  RequestText text;
  text.more = "Sec-WebSocket-Key: " + std::string(kKey) + "\r\n";
  EXPECT_EQ(Read(text).status, 400);
}

TEST_F(HandshakeTest, RefusesAnotherMethodAndABody) {
  RequestText post;
  post.request_line = "POST /chat HTTP/1.1";
  EXPECT_EQ(Read(post).status, 400);
  RequestText body;
  body.more = "Content-Length: 1\r\n";
  EXPECT_EQ(Read(body).status, 400);
  body.more = "Transfer-Encoding: chunked\r\n";
  EXPECT_EQ(Read(body).status, 400);
  body.more = "Content-Length: 0\r\n";
  EXPECT_EQ(Read(body).status, 101);
}

TEST_F(HandshakeTest, OtherRequestsAreNoUpgrade) {
  RequestText text;
  text.upgrade = "Upgrade: h2c\r\n";
  EXPECT_FALSE(IsUpgradeRequest(Parse(text)));
  text.upgrade = "";
  EXPECT_FALSE(IsUpgradeRequest(Parse(text)));
  text = RequestText();
  text.connection = "Connection: keep-alive\r\n";
  EXPECT_FALSE(IsUpgradeRequest(Parse(text)));
  text = RequestText();
  text.request_line = "GET / HTTP/1.0";
  EXPECT_FALSE(IsUpgradeRequest(Parse(text)));
}

TEST_F(HandshakeTest, UpgradeIsAListWithoutCase) {
  RequestText text;
  text.upgrade = "Upgrade: h2c, WebSocket\r\n";
  text.connection = "Connection: UPGRADE\r\n";
  EXPECT_TRUE(IsUpgradeRequest(Parse(text)));
}

}  // namespace
}  // namespace apm::websocket
