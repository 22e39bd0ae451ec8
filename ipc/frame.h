// The frame of the pipe protocol: its bytes, its two length rules, its limits.
//
//   0x05  length:u32be  head (a JSON object)  0x03  payload
//
// The one difference between the directions is what `length` counts: the
// separator 0x03 is counted from a worker and not counted to a worker.
// README.md is the format in full.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace apm::ipc {

inline constexpr char kFrameStart = 0x05;
inline constexpr char kFrameSeparator = 0x03;
inline constexpr size_t kFramePrefixBytes = 5;  // Start and length.

// Enforced before memory is taken; one byte more is refused.
inline constexpr size_t kMaxHeadFromWorkerBytes = size_t{1} << 20;
inline constexpr size_t kMaxHeadToWorkerBytes = size_t{64} << 10;
inline constexpr size_t kMaxPayloadBytes = size_t{16} << 20;

// Bodies longer than this travel as several chunk frames.
inline constexpr size_t kChunkBytes = size_t{64} << 10;

// The shortest length a worker can send: "{}" and the separator.
inline constexpr uint32_t kMinLengthFromWorker = 3;
inline constexpr uint32_t kMaxLengthFromWorker =
    kMaxHeadFromWorkerBytes + 1 + kMaxPayloadBytes;

// The length field of a frame to a worker: the separator is not counted.
constexpr uint32_t LengthToWorker(size_t head_bytes, size_t payload_bytes) {
  return static_cast<uint32_t>(head_bytes + payload_bytes);
}

// The length field of a frame from a worker: the separator is counted.
constexpr uint32_t LengthFromWorker(size_t head_bytes, size_t payload_bytes) {
  return static_cast<uint32_t>(head_bytes + 1 + payload_bytes);
}

// What a payload is, as the head's `dataType` says.
enum class DataType : uint8_t { kBinary, kText };

// A name and its value: a header, a trailer, a label.
struct Field {
  std::string_view name;
  std::string_view value;

  friend bool operator==(const Field&, const Field&) = default;
};

}  // namespace apm::ipc
