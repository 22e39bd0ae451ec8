#include "proxy/websocket/handshake.h"

#include <cstdint>

#include "proxy/http1/field.h"
#include "proxy/websocket/base64.h"
#include "proxy/websocket/sha1.h"

namespace apm::websocket {
namespace {

// RFC 6455 1.3: makes the answer one that only a WebSocket server gives.
constexpr std::string_view kKeySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

struct HandshakeFields {
  std::string_view version;
  std::string_view key;
  int versions = 0;
  int keys = 0;
};

HandshakeFields FindFields(const http1::Request& request) {
  HandshakeFields found;
  for (const http1::Field& field : request.fields) {
    if (field.name == "sec-websocket-version") {
      found.version = field.value;
      ++found.versions;
    } else if (field.name == "sec-websocket-key") {
      found.key = field.value;
      ++found.keys;
    }
  }
  return found;
}

bool HasBody(const http1::Request& request) {
  return request.body == http1::BodyKind::kChunked ||
         request.content_length != 0;
}

// False if an offer is not a token (RFC 6455 4.1, item 10).
bool ReadProtocols(const http1::Request& request,
                   std::vector<std::string_view>& protocols) {
  bool valid = true;
  for (const http1::Field& field : request.fields) {
    if (field.name != "sec-websocket-protocol") continue;
    http1::ForEachListElement(field.value, [&](std::string_view protocol) {
      valid &= http1::IsToken(protocol);
      protocols.push_back(protocol);
    });
  }
  return valid;
}

Handshake Refuse(int status, std::string_view reason) {
  Handshake refusal;
  refusal.status = status;
  refusal.reason = reason;
  return refusal;
}

}  // namespace

bool IsUpgradeRequest(const http1::Request& request) {
  bool found = false;
  http1::ForEachListElement(request.upgrade, [&](std::string_view protocol) {
    found |= http1::EqualsIgnoringCase(protocol, "websocket");
  });
  return found;
}

Handshake ReadHandshake(const http1::Request& request) {
  if (request.method != "GET") {
    return Refuse(400, "a WebSocket handshake is a GET request");
  }
  if (HasBody(request)) {
    return Refuse(400, "a WebSocket handshake has no body");
  }
  const HandshakeFields fields = FindFields(request);
  if (fields.versions != 1 || fields.version != "13") {
    return Refuse(426, "this address speaks WebSocket, version 13");
  }
  if (fields.keys != 1 || !IsBase64Of16Bytes(fields.key)) {
    return Refuse(400, "the Sec-WebSocket-Key is not valid");
  }
  Handshake handshake;
  if (!ReadProtocols(request, handshake.protocols)) {
    return Refuse(400, "the Sec-WebSocket-Protocol is not valid");
  }
  handshake.accept =
      EncodeBase64(Sha1(std::string(fields.key).append(kKeySuffix)));
  return handshake;
}

void AppendSwitchingProtocols(const std::array<char, 28>& accept,
                              std::string_view protocol, std::string& out) {
  out.append(
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ");
  out.append(accept.data(), accept.size()).append("\r\n");
  if (!protocol.empty()) {
    out.append("Sec-WebSocket-Protocol: ").append(protocol).append("\r\n");
  }
  out.append("\r\n");
}

}  // namespace apm::websocket
