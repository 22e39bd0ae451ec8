#include "ipc/frame_encoder.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/strings/str_format.h>

#include "ipc/frame.h"
#include "ipc/json_writer.h"

namespace apm::ipc {
namespace {

void PutBigEndian32(uint32_t value, char* to) {
  for (int i = 0; i < 4; ++i) {
    to[i] = static_cast<char>(value >> (24 - 8 * i));
  }
}

absl::Status AppendBody(std::string_view type_key, std::string_view session_id,
                        DataType type, std::string_view payload,
                        std::string& out) {
  FrameWriter frame(out);
  out += R"({"_sessionId":)";
  AppendJsonString(session_id, out);
  out += type_key;
  out += type == DataType::kText ? R"(,"dataType":"text"})"
                                 : R"(,"dataType":"binary"})";
  return frame.Finish(payload);
}

}  // namespace

FrameWriter::FrameWriter(std::string& out) : out_(out), start_(out.size()) {
  out_.append(kFramePrefixBytes, kFrameStart);
}

absl::Status FrameWriter::Finish(std::string_view payload) {
  const size_t head_bytes = out_.size() - start_ - kFramePrefixBytes;
  if (head_bytes > kMaxHeadToWorkerBytes || payload.size() > kMaxPayloadBytes) {
    out_.resize(start_);
    return absl::ResourceExhaustedError(absl::StrFormat(
        "frame to a worker with a head of %d bytes and a payload of %d exceeds "
        "%d and %d",
        head_bytes, payload.size(), kMaxHeadToWorkerBytes, kMaxPayloadBytes));
  }
  PutBigEndian32(LengthToWorker(head_bytes, payload.size()),
                 out_.data() + start_ + 1);
  out_ += kFrameSeparator;
  out_ += payload;
  return absl::OkStatus();
}

absl::Status AppendFrame(std::string_view head, std::string_view payload,
                         std::string& out) {
  FrameWriter frame(out);
  out += head;
  return frame.Finish(payload);
}

absl::Status AppendData(std::string_view session_id, DataType type,
                        std::string_view payload, std::string& out) {
  return AppendBody(R"(,"_type":"data")", session_id, type, payload, out);
}

absl::Status AppendChunk(std::string_view session_id, DataType type,
                         std::string_view payload, std::string& out) {
  return AppendBody(R"(,"_type":"chunk")", session_id, type, payload, out);
}

absl::Status AppendConnectionClosed(std::string_view session_id,
                                    std::string_view reason, std::string& out) {
  FrameWriter frame(out);
  out += R"({"_sessionId":)";
  AppendJsonString(session_id, out);
  out += R"(,"_type":"event","_event":"connectionClosed","reason":)";
  AppendJsonString(reason, out);
  out += '}';
  return frame.Finish({});
}

absl::Status AppendDrain(std::string_view session_id, std::string& out) {
  FrameWriter frame(out);
  out += R"({"_sessionId":)";
  AppendJsonString(session_id, out);
  out += R"(,"_type":"event","_event":"drain"})";
  return frame.Finish({});
}

}  // namespace apm::ipc
