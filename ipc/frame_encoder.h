// Writes frames to a worker straight into the buffer that leaves for its pipe.
//
//   std::string& out = link.OutBuffer();
//   APM_RETURN_IF_ERROR(AppendChunk(session_id, DataType::kBinary, part, out));
//   APM_RETURN_IF_ERROR(AppendData(session_id, DataType::kBinary, last, out));
//
// The first frame of a session is session_head.h's. Every function leaves
// `out` unchanged when it fails. Pure computation.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "ipc/frame.h"

namespace apm::ipc {

// `data`: the last, or only, part of a request body (may be empty); one
// WebSocket message; bytes of a TCP connection. kResourceExhausted if
// `payload` exceeds kMaxPayloadBytes.
absl::Status AppendData(std::string_view session_id, DataType type,
                        std::string_view payload, std::string& out);

// `chunk`: a part of a body that is not its last. Same error.
absl::Status AppendChunk(std::string_view session_id, DataType type,
                         std::string_view payload, std::string& out);

// The event that ends a session which the worker did not close itself.
absl::Status AppendConnectionClosed(std::string_view session_id,
                                    std::string_view reason, std::string& out);

// The event "finish, you are being replaced", for one session; with an empty
// `session_id` for the whole worker.
absl::Status AppendDrain(std::string_view session_id, std::string& out);

// A frame of any head: a JSON object without raw control characters.
// kResourceExhausted if head or payload exceeds its limit.
absl::Status AppendFrame(std::string_view head, std::string_view payload,
                         std::string& out);

// A frame whose head the caller appends to `out` between the constructor and
// Finish(), so that no head is ever built elsewhere and copied.
class FrameWriter {
 public:
  explicit FrameWriter(std::string& out);

  FrameWriter(const FrameWriter&) = delete;
  FrameWriter& operator=(const FrameWriter&) = delete;

  // Adds separator and payload and fills in the length. kResourceExhausted if
  // head or payload exceeds its limit: then `out` is what it was before the
  // constructor.
  absl::Status Finish(std::string_view payload);

 private:
  std::string& out_;
  size_t start_;  // Where the frame begins in out_.
};

}  // namespace apm::ipc
