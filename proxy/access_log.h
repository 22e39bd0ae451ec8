// A worker's access log: one line a request, in the "combined" format that
// every log tool reads, and the seconds the answer took at its end.
//
//   192.0.2.7 - - [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 13
//   "http://example.org/" "curl/8.0" 0.004
//
// (one line). Lines are gathered and written once a loop turn. The file
// belongs to the agent (agent/access_log_file.h). Who rotates it copies and
// truncates it: every write goes to its end, wherever that is.

#pragma once

#include <time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "base/os/unique_fd.h"

namespace apm::proxy {

struct AccessEntry {
  std::string_view remote = "";        // An address, or "unix".
  std::string_view request_line = "";  // "GET /a HTTP/1.1".
  int status = 0;
  uint64_t body_bytes = 0;  // Sent to the client, without the head.
  std::string_view referer = "";
  std::string_view user_agent = "";
  absl::Duration took = absl::ZeroDuration();
};

// Thread: the shard's.
class AccessLog {
 public:
  explicit AccessLog(UniqueFd file) : file_(std::move(file)) {}

  // Bytes that a client chose are escaped, so that it cannot forge a line.
  void Add(const AccessEntry& entry, time_t now);

  // Writes what was added. A log that cannot be written loses its lines: it
  // must not stop requests.
  void Flush();

  bool empty() const { return lines_.empty(); }

 private:
  void AppendTime(time_t now);

  UniqueFd file_;
  std::string lines_;
  time_t formatted_second_ = -1;
  std::string formatted_time_;
};

// Appends `text` with quotes, backslashes, controls and bytes above 0x7e as
// \xHH.
void AppendLogEscaped(std::string_view text, std::string& out);

}  // namespace apm::proxy
