// One parsed request head, and the answer that ends a bad one.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "proxy/http1/field.h"

namespace apm::http1 {

enum class Version : uint8_t { kHttp10, kHttp11 };

// RFC 9112 3.2. The authority-form belongs to CONNECT, which is refused.
enum class TargetForm : uint8_t { kOrigin, kAbsolute, kAsterisk };

// How the end of the request body is found (RFC 9112 6.3).
enum class BodyKind : uint8_t { kNone, kLength, kChunked };

// All views point into the buffer that completed the head, or are empty: they
// live as long as the caller leaves those `head_bytes` bytes in place.
struct Request {
  std::string_view method;  // As received; never CONNECT or TRACE.
  std::string_view target;  // As received.
  std::string_view path;    // "/" where an absolute-form has none; "*".
  std::string_view query;   // Behind the first '?', without it.
  std::string_view host;    // Host field or authority; empty only in HTTP/1.0.
  TargetForm form = TargetForm::kOrigin;
  Version version = Version::kHttp11;

  // In the order received. Names are lower case: the parser turns them in the
  // caller's buffer. Values have no white space at their ends and may be empty.
  std::vector<Field> fields;
  // Fields left out because their name contains '_': CGI-like environments
  // cannot tell it from '-', so such a name could shadow a checked one.
  uint32_t dropped_fields = 0;

  BodyKind body = BodyKind::kNone;
  uint64_t content_length = 0;   // For kLength; below 2^63. kLength may be 0.
  bool keep_alive = false;       // The client's wish (RFC 9112 9.3).
  bool expect_continue = false;  // Waits for 100 before its body (9110 10.1.1).
  // The Upgrade field when Connection names it too (RFC 9110 7.8), else empty.
  // Several lines: the first.
  std::string_view upgrade;

  // Bytes to consume, a leading empty line included. The body begins there.
  size_t head_bytes = 0;

  // The first field of that lower-case name, or nullptr.
  const Field* Find(std::string_view lower_case_name) const {
    for (const Field& field : fields) {
      if (field.name == lower_case_name) return &field;
    }
    return nullptr;
  }
};

// Why a peer's bytes are refused. The connection closes after the answer: the
// place where the next message would begin is in doubt.
struct ParseError {
  int status = 0;
  std::string_view reason;  // A constant; holds none of the peer's bytes.
};

}  // namespace apm::http1
