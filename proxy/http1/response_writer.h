// Writes response heads and bodies (RFC 9112 4, 6, 7).
//
// The worker says what to answer; the framing of the answer is ours. A worker
// can therefore not split a response, announce a length it does not keep to,
// or choose whether the connection lives.
//
// No Server field: it tells an attacker more than a user, and a worker that
// wants one sends its own.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "proxy/http1/field.h"
#include "proxy/http1/request.h"

namespace apm::http1 {

// How the client finds the end of the response body (RFC 9112 6.3).
enum class Framing : uint8_t {
  kNoBody,   // HEAD, 1xx, 204, 205, 304: whatever the worker writes is dropped.
  kLength,   // Content-Length.
  kChunked,  // HTTP/1.1, length unknown.
  kClose,    // HTTP/1.0, length unknown: the connection ends the body.
};

// What decides the framing, besides what the worker says.
struct Exchange {
  Version version = Version::kHttp11;
  bool head_request = false;  // The method was HEAD.
  bool keep_alive = false;    // Wanted by the client and allowed by us.
};

struct ResponseFraming {
  Framing framing = Framing::kNoBody;
  uint64_t content_length = 0;  // For kLength: to be kept to.
  bool keep_alive = false;      // May the next request be read afterwards?
};

// Appends the head of a final answer to `out`. `fields` are the worker's; of
// them Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Trailer
// and Upgrade are left out (RFC 9110 7.6.1) and Content-Length is checked.
// `body_bytes` is the length of the body where it is already complete.
// `date_line` is DateLine::At(): sent unless the worker has a Date of its own.
//
// Returns kInvalidArgument, with `out` unchanged, if the answer must not be
// sent: a status outside 200..599, a field name that is not a token, a value
// with CR, LF, NUL or another control byte, a Content-Length that is no number,
// given twice, or not `body_bytes`. The caller answers 502.
absl::StatusOr<ResponseFraming> AppendResponseHead(
    const Exchange& exchange, int status, std::span<const Field> fields,
    std::optional<uint64_t> body_bytes, std::string_view date_line,
    std::string& out);

// Appends an interim answer, 100 or 102..199 (RFC 9110 15.2); 101 belongs to
// the WebSocket handshake. Never for a client of HTTP/1.0, which has no notion
// of it: kInvalidArgument, as for the fields above, with `out` unchanged.
absl::Status AppendInterimHead(const Exchange& exchange, int status,
                               std::span<const Field> fields, std::string& out);

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// The reason phrase of RFC 9110 and its registry, or "" for others.
std::string_view ReasonPhrase(int status);

// Writes one response body as its head announced it. Owned by the exchange.
class BodyWriter {
 public:
  BodyWriter() = default;
  explicit BodyWriter(const ResponseFraming& framing);

  // Appends `data` with its framing. False, with `out` unchanged, if the
  // worker wrote more than it announced: cut the connection, since what was
  // announced cannot be taken back.
  [[nodiscard]] bool Append(std::string_view data, std::string& out);

  // Appends the end of the body. False if bytes are missing: cut the
  // connection, so that the client sees a broken answer as broken.
  [[nodiscard]] bool Finish(std::string& out);

 private:
  ResponseFraming framing_;
  uint64_t written_bytes_ = 0;
};

}  // namespace apm::http1
