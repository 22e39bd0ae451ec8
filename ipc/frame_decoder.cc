// The cost of hostile input.
//
// Refusing a frame means going back to the byte after its 0x05, so a naive
// decoder reads the same bytes once for every 0x05 before them. Here it is
// linear, for one reason: no JSON text contains a control character other than
// tab, line feed and carriage return. The first one after the length is either
// the separator or the end of the candidate. So the heads of two candidates
// never overlap: the next 0x05 lies behind the first head, or in its length.
// A head is scanned as it arrives and parsed once, when its separator is there.
//
// A candidate with a good head may announce 16 MiB that never come. Then the
// rest of the input is taken for its payload, until Expire(): the price of a
// protocol without escapes. Each Expire() moves on by at least one byte.

#include "ipc/frame_decoder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/byte_scan.h"
#include "ipc/frame.h"
#include "ipc/worker_head.h"

namespace apm::ipc {
namespace {

// Kept for the next read once nothing is pending; more is given back.
constexpr size_t kKeptBytes = size_t{512} << 10;

// The length field, with zeros for the bytes that have not arrived: the least
// it can still become. REQUIRES: bytes begins with a frame's start.
uint32_t LeastLength(std::string_view bytes) {
  uint32_t length = 0;
  for (size_t i = 1; i < kFramePrefixBytes; ++i) {
    const auto byte = i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : 0;
    length = length << 8 | byte;
  }
  return length;
}

}  // namespace

void FrameDecoder::Feed(std::string_view bytes) {
  expired_ = false;
  if (pending_.empty()) {
    view_ = bytes;
    return;
  }
  pending_.append(bytes);
  view_ = pending_;
  candidate_.head_is_current = false;  // pending_ may have moved.
}

void FrameDecoder::Expire() { expired_ = Waiting(); }

void FrameDecoder::Finish() { finished_ = true; }

std::optional<DecodedItem> FrameDecoder::Next() {
  // Stray bytes up to the next frame, or to what may become one.
  size_t stray_bytes = 0;
  Verdict verdict = Verdict::kNeedMore;
  for (;;) {
    const size_t start = view_.find(kFrameStart, position_ + stray_bytes);
    stray_bytes = std::min(start, view_.size()) - position_;
    if (start == std::string_view::npos) break;
    verdict = Examine(view_.substr(start));
    if (verdict != Verdict::kRefused) break;
    candidate_ = Candidate();
    ++stray_bytes;
  }

  if (stray_bytes > 0) {
    // A candidate behind them is at position_ when Next() is called again.
    const std::string_view stray = view_.substr(position_, stray_bytes);
    position_ += stray_bytes;
    return StrayBytes{stray};
  }
  if (verdict == Verdict::kFrame) return TakeFrame();
  KeepRest();
  return std::nullopt;
}

FrameDecoder::Verdict FrameDecoder::Examine(std::string_view bytes) {
  const size_t length = LeastLength(bytes);
  if (length > kMaxLengthFromWorker) return Verdict::kRefused;
  if (bytes.size() < kFramePrefixBytes) return Incomplete();
  if (length < kMinLengthFromWorker) return Verdict::kRefused;

  const std::string_view body = bytes.substr(kFramePrefixBytes);
  if (candidate_.head_bytes == 0) {
    const Verdict head = FindHead(body, length);
    if (head != Verdict::kFrame) return head;
  }
  candidate_.payload_bytes = length - candidate_.head_bytes - 1;
  if (candidate_.payload_bytes > kMaxPayloadBytes) return Verdict::kRefused;
  return body.size() < length ? Incomplete() : Verdict::kFrame;
}

FrameDecoder::Verdict FrameDecoder::FindHead(std::string_view body,
                                             size_t length) {
  if (body.empty()) return Incomplete();
  if (body.front() != '{') return Verdict::kRefused;

  const size_t last = std::min(length - 1, kMaxHeadFromWorkerBytes);
  const std::string_view window = body.substr(0, last + 1);
  const char* const end = window.data() + window.size();
  const char* const found =
      FindNonJson(window.data() + candidate_.scanned_bytes, end);
  if (found == end) {
    candidate_.scanned_bytes = window.size();
    return window.size() > last ? Verdict::kRefused : Incomplete();
  }
  if (*found != kFrameSeparator) return Verdict::kRefused;

  const auto head_bytes = static_cast<size_t>(found - window.data());
  candidate_.problem = parser_.Parse(window.substr(0, head_bytes));
  if (candidate_.problem == HeadProblem::kNotAnObject) return Verdict::kRefused;
  candidate_.head_bytes = head_bytes;
  candidate_.head_is_current = true;
  return Verdict::kFrame;
}

FrameDecoder::Verdict FrameDecoder::Incomplete() {
  if (finished_) return Verdict::kRefused;
  // Only the candidate that was waiting, which is the first to get here.
  if (std::exchange(expired_, false)) return Verdict::kRefused;
  return Verdict::kNeedMore;
}

WorkerFrame FrameDecoder::TakeFrame() {
  const std::string_view body = view_.substr(position_ + kFramePrefixBytes);
  const std::string_view head = body.substr(0, candidate_.head_bytes);
  const std::string_view payload =
      body.substr(candidate_.head_bytes + 1, candidate_.payload_bytes);
  if (!candidate_.head_is_current) parser_.Parse(head);
  const WorkerFrame frame{candidate_.problem, &parser_.head(), head, payload};
  position_ += kFramePrefixBytes + head.size() + 1 + payload.size();
  candidate_ = Candidate();
  return frame;
}

void FrameDecoder::KeepRest() {
  const std::string_view rest = view_.substr(position_);
  if (pending_.empty()) {
    pending_.assign(rest);
  } else {
    pending_.erase(0, position_);
  }
  if (pending_.capacity() > kKeptBytes && pending_.size() < kKeptBytes / 2) {
    pending_ = std::string(pending_);
  }
  view_ = pending_;
  position_ = 0;
  candidate_.head_is_current = false;
}

}  // namespace apm::ipc
