// Carries frames between the agent and one worker over a pair of descriptors:
// the I/O shell around FrameDecoder and the encoders.
//
//   auto link = WorkerLink::Create(loop, std::move(to_worker),
//                                  std::move(from_worker), scratch, handler);
//   AppendData(session_id, DataType::kText, message, (*link)->OutBuffer());
//
// All frames of a loop turn leave in one write at its end; a turn reads once,
// up to 256 KiB. The worker's output is read at all times; the pushing back is
// the caller's, on the client's socket, by pending_out_bytes().

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/os/event_loop.h"
#include "base/os/timers.h"
#include "base/os/unique_fd.h"
#include "ipc/frame_decoder.h"
#include "ipc/link_marks.h"

namespace apm::ipc {

// One read a turn is at most this; also the pipe size asked for.
inline constexpr size_t kLinkReadBytes = size_t{256} << 10;

// A started frame that makes no progress for this long was stray output.
inline constexpr absl::Duration kStrayTimeout = absl::Seconds(5);

struct WorkerLinkStats {
  uint64_t frames_in = 0;  // Without the bad ones.
  uint64_t bad_frames_in = 0;
  uint64_t stray_bytes_in = 0;
  uint64_t bytes_in = 0;
  uint64_t reads = 0;
  uint64_t bytes_out = 0;
  uint64_t writes = 0;
};

enum class LinkEnd : uint8_t {
  kWorkerClosedOutput,  // End of file: it exited, or closed its stdout.
  kWorkerClosedInput,   // EPIPE; its output has been read as far as it was.
  kIoError,             // The status says which.
};

class WorkerLink {
 public:
  // What a link tells its owner. Each call may destroy the link. Views live
  // until the call returns, or the link is destroyed.
  class Handler {
   public:
    virtual ~Handler() = default;

    virtual void OnFrame(const WorkerHead& head, std::string_view payload) = 0;

    // A frame whose head cannot be obeyed. `head_json` may be 1 MiB.
    virtual void OnBadFrame(HeadProblem problem,
                            std::string_view head_json) = 0;

    // Output that is not protocol, in order, cut anywhere.
    virtual void OnStray(std::string_view bytes) = 0;

    // Everything in the buffer is written now, or the link is torn: what a
    // successor must know of it is to be true from here on. Do not touch the
    // link from inside.
    virtual void OnSending() {}

    // pending_out_bytes() fell to low_watermark_bytes after it had exceeded
    // high_watermark_bytes.
    virtual void OnWritable() = 0;

    // The link is closed; everything readable has been delivered. Called
    // once, and not for Close(), DrainReads() or the destructor.
    virtual void OnClosed(LinkEnd end, const absl::Status& status) = 0;
  };

  struct Options {
    size_t high_watermark_bytes = size_t{256} << 10;
    size_t low_watermark_bytes = size_t{64} << 10;
    Timers* timers = nullptr;  // The loop's where null.
    // Where to tell a successor whether we died between frames; outlive the
    // link, and are as they should be for one that is idle. Null: nobody asks.
    LinkMarks* marks = nullptr;
  };

  // Watches the descriptors: any pair of pipes or sockets; makes them
  // non-blocking, asks for pipes of 256 KiB and goes on without. Ignores
  // SIGPIPE in this process if nobody handles it. `scratch` is where reads
  // land: kLinkReadBytes, shared by all links of one loop.
  static absl::StatusOr<std::unique_ptr<WorkerLink>> Create(
      EventLoop& loop, UniqueFd to_worker, UniqueFd from_worker,
      std::span<char> scratch, Handler& handler, const Options& options);

  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;
  ~WorkerLink();

  // The buffer to append whole frames to; they leave at the end of this turn.
  // What is appended after the link closed is dropped. Not kept by callers:
  // ask again in the next turn.
  std::string& OutBuffer();

  // Bytes that the worker's pipe has not taken yet.
  size_t pending_out_bytes() const { return out_.size() - out_sent_; }
  bool congested() const { return congested_; }

  // Reads what a dead worker left behind, to its end or until nothing is
  // there, at most kMaxDrainBytes; delivers it; then closes the link.
  // REQUIRES: not called from a callback of this link.
  void DrainReads();
  static constexpr size_t kMaxDrainBytes = size_t{32} << 20;

  // Stops all I/O and closes the descriptors. No callback follows.
  void Close();
  bool closed() const { return !from_worker_; }

  const WorkerLinkStats& stats() const { return stats_; }

 private:
  WorkerLink(EventLoop& loop, UniqueFd to_worker, UniqueFd from_worker,
             std::span<char> scratch, Handler& handler, const Options& options);

  void Flush();
  void WriteOnce();
  void ForgetSent();
  absl::Status WatchWritable(bool full);
  void UpdateCongestion();
  void FailWrite(int error);

  void OnReadable();
  ssize_t ReadOnce(std::span<char> buffer);
  void ReadToEnd();
  void MarkRead();
  bool Deliver();  // False if the link was closed or destroyed meanwhile.
  void DeliverFrame(const WorkerFrame& frame);
  void WatchForStray(absl::Duration delay);
  void OnStrayTimer();
  void CloseAndTell(LinkEnd end, const absl::Status& status);

  EventLoop& loop_;
  Timers& timers_;
  UniqueFd to_worker_;
  UniqueFd from_worker_;
  std::span<char> scratch_;
  Handler& handler_;
  const Options options_;

  FrameDecoder decoder_;
  absl::Duration last_progress_;
  TimerId stray_timer_ = kNoTimer;

  std::string out_;
  size_t out_sent_ = 0;           // Prefix of out_ that the pipe has taken.
  bool flush_scheduled_ = false;  // At the end of this turn.
  bool pipe_full_ = false;        // to_worker_ is watched for EPOLLOUT.
  bool congested_ = false;

  WorkerLinkStats stats_;
  LinkMarks unread_marks_{};  // Where there are no others.
  LinkMarks& marks_;

  // Expires with the link: how callbacks find out that it is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace apm::ipc
