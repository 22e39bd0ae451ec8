// Descriptors are watched as little as the work needs: the worker's output
// always, its input only while the pipe is full. In the common turn a link
// costs one read and one write.
//
// The marks (link_marks.h) stand around what must happen whole or not at all.
// busy_in: from a read to the end of what its frames bring about, so that a
// session the worker has closed is not closed again by a successor. busy_out:
// from the moment before a write until nothing is left to write; bytes that
// wait for a full pipe begin with the rest of a frame more often than not.

#include "ipc/worker_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/os/errno_status.h"
#include "base/os/event_loop.h"
#include "base/os/timers.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"
#include "ipc/frame_decoder.h"
#include "ipc/link_marks.h"

namespace apm::ipc {
namespace {

// Kept in out_ once it is empty; more is given back.
constexpr size_t kKeptOutBytes = size_t{512} << 10;

absl::Status SetNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "make a worker's pipe non-blocking");
  }
  return absl::OkStatus();
}

// Fewer wake-ups where the kernel allows it: EPERM beyond the user's share of
// pipe memory (pipe(7), pipe-user-pages-soft), EBADF on a socket.
void GrowPipe(int fd) {
  const int size = fcntl(fd, F_GETPIPE_SZ);
  if (size >= 0 && size < static_cast<int>(kLinkReadBytes)) {
    fcntl(fd, F_SETPIPE_SZ, static_cast<int>(kLinkReadBytes));
  }
}

// A worker may be gone before the write: that has to be EPIPE, not our end.
// Done here and not left to main(), because forgetting it would show only on
// the day a worker crashes.
void IgnoreSigpipe() {
  struct sigaction current {};
  if (sigaction(SIGPIPE, nullptr, &current) == 0 &&
      current.sa_handler == SIG_DFL) {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerLink>> WorkerLink::Create(
    EventLoop& loop, UniqueFd to_worker, UniqueFd from_worker,
    std::span<char> scratch, Handler& handler, const Options& options) {
  IgnoreSigpipe();
  APM_RETURN_IF_ERROR(SetNonBlocking(to_worker.get()));
  APM_RETURN_IF_ERROR(SetNonBlocking(from_worker.get()));
  GrowPipe(to_worker.get());
  GrowPipe(from_worker.get());
  std::unique_ptr<WorkerLink> link(new WorkerLink(loop, std::move(to_worker),
                                                  std::move(from_worker),
                                                  scratch, handler, options));
  APM_RETURN_IF_ERROR(
      loop.Add(link->from_worker_.get(), EPOLLIN,
               [raw = link.get()](uint32_t) { raw->OnReadable(); }));
  return link;
}

WorkerLink::WorkerLink(EventLoop& loop, UniqueFd to_worker,
                       UniqueFd from_worker, std::span<char> scratch,
                       Handler& handler, const Options& options)
    : loop_(loop),
      timers_(options.timers != nullptr ? *options.timers : loop),
      to_worker_(std::move(to_worker)),
      from_worker_(std::move(from_worker)),
      scratch_(scratch),
      handler_(handler),
      options_(options),
      last_progress_(timers_.Now()),
      marks_(options.marks != nullptr ? *options.marks : unread_marks_) {}

WorkerLink::~WorkerLink() { Close(); }

std::string& WorkerLink::OutBuffer() {
  if (!flush_scheduled_) {
    flush_scheduled_ = true;
    loop_.AtEndOfTurn([this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      flush_scheduled_ = false;
      Flush();
    });
  }
  return out_;
}

void WorkerLink::Flush() {
  if (closed()) {
    out_.clear();
  } else if (!pipe_full_) {
    WriteOnce();
  } else {
    UpdateCongestion();
  }
}

// From here on, what tells the handler something may destroy this link: it is
// the last thing its caller does, or the caller asks alive_ afterwards.

void WorkerLink::WriteOnce() {
  if (pending_out_bytes() == 0) return;
  SetMark(marks_.busy_out, true);
  handler_.OnSending();
  const ssize_t written =
      write(to_worker_.get(), out_.data() + out_sent_, pending_out_bytes());
  if (written < 0 && errno != EAGAIN && errno != EINTR) {
    FailWrite(errno);
    return;
  }
  ++stats_.writes;
  if (written > 0) {
    stats_.bytes_out += static_cast<uint64_t>(written);
    out_sent_ += static_cast<size_t>(written);
    ForgetSent();
    SetMark(marks_.busy_out, pending_out_bytes() > 0);
  }
  const absl::Status watched = WatchWritable(pending_out_bytes() > 0);
  if (!watched.ok()) {
    CloseAndTell(LinkEnd::kIoError, watched);
    return;
  }
  UpdateCongestion();
}

// Moves what is left to the front only when that is less than what was sent,
// so that a long queue is not copied once for every pipe-full of it.
void WorkerLink::ForgetSent() {
  if (pending_out_bytes() > out_sent_) return;
  out_.erase(0, out_sent_);
  out_sent_ = 0;
  if (out_.empty() && out_.capacity() > kKeptOutBytes) out_ = std::string();
}

absl::Status WorkerLink::WatchWritable(bool full) {
  if (full == pipe_full_) return absl::OkStatus();
  pipe_full_ = full;
  if (full) {
    return loop_.Add(to_worker_.get(), EPOLLOUT,
                     [this](uint32_t) { WriteOnce(); });
  }
  loop_.Remove(to_worker_.get());
  return absl::OkStatus();
}

void WorkerLink::UpdateCongestion() {
  if (pending_out_bytes() > options_.high_watermark_bytes) {
    congested_ = true;
  } else if (congested_ &&
             pending_out_bytes() <= options_.low_watermark_bytes) {
    congested_ = false;
    handler_.OnWritable();
  }
}

void WorkerLink::FailWrite(int error) {
  const std::weak_ptr alive(alive_);
  ReadToEnd();  // What it said before it went away still counts.
  if (alive.expired() || closed()) return;
  CloseAndTell(error == EPIPE ? LinkEnd::kWorkerClosedInput : LinkEnd::kIoError,
               ErrnoStatus(error, "write to a worker"));
}

void WorkerLink::OnReadable() {
  const ssize_t got = ReadOnce(scratch_);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) {
      MarkRead();
      return;
    }
    CloseAndTell(LinkEnd::kIoError, ErrnoStatus(errno, "read from a worker"));
    return;
  }
  if (got == 0) decoder_.Finish();
  if (!Deliver()) return;
  if (got == 0) {
    CloseAndTell(LinkEnd::kWorkerClosedOutput, absl::OkStatus());
    return;
  }
  last_progress_ = timers_.Now();
  WatchForStray(kStrayTimeout);
}

ssize_t WorkerLink::ReadOnce(std::span<char> buffer) {
  SetMark(marks_.busy_in, true);
  const ssize_t got = read(from_worker_.get(), buffer.data(),
                           std::min(buffer.size(), kLinkReadBytes));
  if (got > 0) {
    ++stats_.reads;
    stats_.bytes_in += static_cast<uint64_t>(got);
    decoder_.Feed(std::string_view(buffer.data(), static_cast<size_t>(got)));
  }
  return got;
}

void WorkerLink::ReadToEnd() {
  // Not scratch_: another link may be in the middle of delivering from it.
  std::vector<char> buffer(kLinkReadBytes);
  for (size_t total = 0; total < kMaxDrainBytes;) {
    const ssize_t got = ReadOnce(buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (!Deliver()) return;
    total += static_cast<size_t>(got);
  }
  decoder_.Finish();
  Deliver();
}

void WorkerLink::MarkRead() { SetMark(marks_.busy_in, decoder_.Waiting()); }

bool WorkerLink::Deliver() {
  const std::weak_ptr alive(alive_);
  while (std::optional<DecodedItem> item = decoder_.Next()) {
    if (const auto* stray = std::get_if<StrayBytes>(&*item)) {
      stats_.stray_bytes_in += stray->bytes.size();
      handler_.OnStray(stray->bytes);
    } else {
      DeliverFrame(std::get<WorkerFrame>(*item));
    }
    if (alive.expired() || closed()) return false;
  }
  MarkRead();
  return true;
}

void WorkerLink::DeliverFrame(const WorkerFrame& frame) {
  if (frame.problem == HeadProblem::kNone) {
    ++stats_.frames_in;
    handler_.OnFrame(*frame.head, frame.payload);
  } else {
    ++stats_.bad_frames_in;
    handler_.OnBadFrame(frame.problem, frame.head_json);
  }
}

// One timer per link, not one per read: it looks at last_progress_ when it is
// due and sleeps on for what is left.
void WorkerLink::WatchForStray(absl::Duration delay) {
  if (!decoder_.Waiting() || stray_timer_ != kNoTimer) return;
  stray_timer_ = timers_.RunAfter(delay, [this] { OnStrayTimer(); });
}

void WorkerLink::OnStrayTimer() {
  stray_timer_ = kNoTimer;
  const absl::Duration quiet = timers_.Now() - last_progress_;
  if (quiet < kStrayTimeout) {
    WatchForStray(kStrayTimeout - quiet);
    return;
  }
  decoder_.Expire();
  last_progress_ = timers_.Now();
  if (Deliver()) WatchForStray(kStrayTimeout);
}

void WorkerLink::DrainReads() {
  if (closed()) return;
  const std::weak_ptr alive(alive_);
  ReadToEnd();
  if (!alive.expired()) Close();
}

void WorkerLink::Close() {
  if (closed()) return;
  timers_.Cancel(std::exchange(stray_timer_, kNoTimer));
  loop_.Remove(from_worker_.get());
  loop_.Remove(to_worker_.get());
  from_worker_.Reset();
  to_worker_.Reset();
  out_.clear();
  out_sent_ = 0;
  pipe_full_ = false;
  congested_ = false;
}

void WorkerLink::CloseAndTell(LinkEnd end, const absl::Status& status) {
  Close();
  handler_.OnClosed(end, status);
}

}  // namespace apm::ipc
