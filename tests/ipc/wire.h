// Builds the frames a worker would send, and says what a decoder made of its
// input in one comparable line each. For tests.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ipc/frame.h"
#include "ipc/frame_decoder.h"
#include "ipc/worker_head.h"

namespace apm::ipc::testing {

// 0x05 and a length field.
inline std::string Prefix(size_t length) {
  std::string out(1, kFrameStart);
  for (int shift = 24; shift >= 0; shift -= 8) {
    out += static_cast<char>(length >> shift);
  }
  return out;
}

inline std::string FromWorker(std::string_view head,
                              std::string_view payload = "") {
  std::string out = Prefix(LengthFromWorker(head.size(), payload.size()));
  out += head;
  out += kFrameSeparator;
  out += payload;
  return out;
}

inline std::string Frame(std::string_view head, std::string_view payload) {
  return "frame " + std::string(head) + " | " + std::string(payload);
}

inline std::string BadFrame(HeadProblem problem, std::string_view head,
                            std::string_view payload) {
  return std::string(HeadProblemText(problem)) + ": " + Frame(head, payload);
}

inline std::string Stray(std::string_view bytes) {
  return "stray " + std::string(bytes);
}

// What a decoder gave out so far, adjacent stray runs joined.
class Transcript {
 public:
  void Add(const DecodedItem& item) {
    if (const auto* stray = std::get_if<StrayBytes>(&item)) {
      AddStray(stray->bytes);
    } else {
      AddFrame(std::get<WorkerFrame>(item));
    }
  }

  void Drain(FrameDecoder& decoder) {
    while (const std::optional<DecodedItem> item = decoder.Next()) Add(*item);
  }

  void Feed(FrameDecoder& decoder, std::string_view bytes) {
    // A copy that is gone afterwards shows a decoder that keeps views.
    const std::string read(bytes);
    decoder.Feed(read);
    Drain(decoder);
  }

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void AddStray(std::string_view bytes) {
    if (!after_stray_) lines_.push_back(Stray(""));
    lines_.back() += bytes;
    after_stray_ = true;
  }

  void AddFrame(const WorkerFrame& frame) {
    lines_.push_back(
        frame.problem == HeadProblem::kNone
            ? Frame(frame.head_json, frame.payload)
            : BadFrame(frame.problem, frame.head_json, frame.payload));
    after_stray_ = false;
  }

  std::vector<std::string> lines_;
  bool after_stray_ = false;
};

}  // namespace apm::ipc::testing
