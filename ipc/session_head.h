// Writes the first frame of a session: everything a worker may want to know
// about a request or connection. README.md lists the keys.
//
//   SessionMetadata session;
//   session.session_id = id;
//   session.protocol = "http";
//   session.method = "GET";
//   ...
//   absl::Status sent = encoder.Append(session, HeadDetail::kFull, out);
//
// Bytes that are no UTF-8, in a header or after percent-decoding, reach the
// worker as U+FFFD: the head is valid JSON whatever the client sent.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "ipc/frame.h"
#include "ipc/json_writer.h"
#include "ipc/url_parts.h"

namespace apm::ipc {

// Borrowed: everything lives until Append() returns.
struct SessionMetadata {
  std::string_view session_id;    // Unique and URL-safe.
  std::string_view session_data;  // Saved JSON value, or empty: `{}`.
  bool resumed = false;           // Moved here from another instance.

  std::string_view protocol;               // "http", "ws", "tcp".
  std::optional<std::string_view> method;  // Absent where it is not HTTP.
  std::string_view path;                   // As received, without the query.
  std::string_view query;                  // Without the question mark.
  // As received, any case, repeated names in order. Names are tokens.
  std::span<const Field> headers;

  // The resolved client first, then the trusted hops; "unix" for a unix peer.
  std::span<const std::string_view> remote_addresses;
  std::optional<uint16_t> remote_port;

  std::string_view scheme;        // "http", "https", "ws", "wss", "tcp".
  std::string_view host;          // Empty where the protocol has none.
  std::string_view http_version;  // "1.0", "1.1", "2"; empty for TCP.
  std::string_view listener;      // As configured: "http://127.0.0.1:3000".
  std::string_view request_id;
};

// kLean leaves out path_array, query_object and cookies, for workers that
// announced the feature: they compute them when asked.
enum class HeadDetail : uint8_t { kFull, kLean };

// Reuses its memory between heads.
//
// Thread-compatible.
class SessionHeadEncoder {
 public:
  // Appends the whole frame. kResourceExhausted, with `out` unchanged, if the
  // head would exceed kMaxHeadToWorkerBytes.
  absl::Status Append(const SessionMetadata& session, HeadDetail detail,
                      std::string& out);

 private:
  void WriteHeaders(std::span<const Field> headers, JsonWriter& json);
  // Appends the values of the headers behind `first` that have its name.
  void JoinRest(std::span<const Field> headers, size_t first, JsonWriter& json);
  // The first header named `name` at or after `from`, or headers.size().
  size_t NextOfName(std::string_view name, std::span<const Field> headers,
                    size_t from) const;
  void WriteDerived(const SessionMetadata& session, JsonWriter& json);

  UrlParts parts_;
  std::vector<uint32_t> fingerprints_;  // Of the headers' names.
  std::string cookie_header_;           // All cookie lines, joined.
};

}  // namespace apm::ipc
