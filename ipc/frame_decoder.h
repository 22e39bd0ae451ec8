// Finds the frames in what a worker wrote to its stdout, which it shares with
// its own print().
//
//   decoder.Feed(bytes_read);
//   while (std::optional<DecodedItem> item = decoder.Next()) {
//     if (const auto* frame = std::get_if<WorkerFrame>(&*item)) Handle(*frame);
//     else Log(std::get<StrayBytes>(*item).bytes);
//   }
//
// Bytes that are no plausible frame are stray: they are given back in order
// and never hide the frame behind them. A frame is plausible when it starts
// with 0x05, a length within the limits and `{`, and when the bytes before
// its separator are one JSON object; all of that is judged before the payload
// arrives. See frame_decoder.cc for the cost of hostile input.
//
// How the input is cut never changes the frames, nor the stray bytes between
// them. Pure computation: no I/O, no clock.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "ipc/frame.h"
#include "ipc/worker_head.h"

namespace apm::ipc {

// A whole frame. `problem` says when its head is an object that cannot be
// obeyed: count it, log it, go on.
struct WorkerFrame {
  HeadProblem problem;
  const WorkerHead* head;  // Never null; see WorkerHeadParser::Parse.
  std::string_view head_json;
  std::string_view payload;
};

// A run of bytes outside of frames; adjacent runs belong together.
struct StrayBytes {
  std::string_view bytes;
};

using DecodedItem = std::variant<WorkerFrame, StrayBytes>;

// Holds at most one unfinished frame of the largest size and one Feed().
//
// Thread-compatible.
class FrameDecoder {
 public:
  // Adds input. `bytes` is borrowed until Next() returned nullopt: frames
  // that lie whole in it are never copied.
  // REQUIRES: Next() returned nullopt since the last Feed().
  void Feed(std::string_view bytes);

  // The next frame or stray run, or nullopt when more input is needed. What
  // it points to lives until the next call of Next() or Feed().
  std::optional<DecodedItem> Next();

  // True while a started frame waits for its rest, after Next() returned
  // nullopt.
  bool Waiting() const { return !pending_.empty(); }

  // Gives up the frame that is waiting: it was stray. Call Next() until
  // nullopt afterwards. Meant for a frame without progress for 5 s.
  void Expire();

  // Says that no more input comes: what waits is given up, whole frames
  // inside of it are found. Call Next() until nullopt afterwards.
  void Finish();

 private:
  enum class Verdict { kNeedMore, kRefused, kFrame };

  // What is known about the 0x05 that may start a frame, so that no byte of
  // its head is looked at twice however the input is cut.
  struct Candidate {
    size_t scanned_bytes = 0;  // Of the head, without finding a separator.
    size_t head_bytes = 0;     // 0 until the separator is found.
    size_t payload_bytes = 0;  // Valid when head_bytes is.
    HeadProblem problem = HeadProblem::kNone;
    bool head_is_current = false;  // parser_ points into view_.
  };

  // `bytes` begins with the candidate's 0x05, `body` is what follows the
  // length.
  Verdict Examine(std::string_view bytes);
  Verdict FindHead(std::string_view body, size_t length);
  Verdict Incomplete();
  WorkerFrame TakeFrame();
  void KeepRest();

  WorkerHeadParser parser_;
  std::string pending_;    // An unfinished frame, kept between reads.
  std::string_view view_;  // What is being decoded: pending_ or the caller's.
  size_t position_ = 0;    // Before it, everything has been given out.
  Candidate candidate_;    // At position_, once it is a 0x05.
  bool expired_ = false;
  bool finished_ = false;
};

}  // namespace apm::ipc
