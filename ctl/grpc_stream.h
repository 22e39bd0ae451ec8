// Stream over gRPC. Only for client.cc: gRPC stays there.
//
// The callback API, since a thread that waits in a synchronous Read() cannot
// see that `head` has closed our output. gRPC's thread raises an eventfd, ours
// polls it together with stdout.

#pragma once

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/status.h>

#include "base/os/unique_fd.h"
#include "ctl/output_watch.h"
#include "ctl/stream.h"

namespace apm::ctl {

// Owned by: who reads it. Thread: his; the On...() are gRPC's.
template <typename Request, typename Message>
class GrpcStream final : public Stream<Message>,
                         private grpc::ClientReadReactor<Message> {
 public:
  using Start = std::function<void(grpc::ClientContext*, const Request*,
                                   grpc::ClientReadReactor<Message>*)>;
  using Explain = std::function<absl::Status(const grpc::Status&)>;

  // `start` binds this to a call; `explain` finds words for its end.
  GrpcStream(Request request, const Start& start, Explain explain)
      : request_(std::move(request)),
        explain_(std::move(explain)),
        raised_(eventfd(0, EFD_CLOEXEC)) {
    start(&context_, &request_, this);
    // Reads are started outside of gRPC's callbacks: without a hold the call
    // could be over, and freed, before one of them begins.
    this->AddHold();
    this->StartCall();
  }

  ~GrpcStream() override {
    if (ended()) return;
    context_.TryCancel();
    if (reading_) Lower();
    if (ended()) return;
    this->RemoveHold();
    Lower();
  }

  absl::StatusOr<Message> Next() override {
    reading_ = true;
    this->StartRead(&message_);
    if (WaitForOutput(raised_.get(), absl::InfiniteDuration()) ==
        OutputWait::kReaderGone) {
      return absl::CancelledError("nobody reads the output");
    }
    Lower();
    reading_ = false;
    if (!ended()) return std::move(message_);
    // No server of ours ends a stream well: it is being stopped.
    if (status_.ok()) {
      return explain_({grpc::UNAVAILABLE, "it ended the stream"});
    }
    return explain_(status_);
  }

 private:
  bool ended() const { return ended_.load(std::memory_order_acquire); }

  // Waits until a read, or the call, is over.
  void Lower() {
    uint64_t count = 0;
    while (read(raised_.get(), &count, sizeof(count)) < 0 && errno == EINTR) {
    }
  }

  void Raise() {
    constexpr uint64_t kOne = 1;
    while (write(raised_.get(), &kOne, sizeof(kOne)) < 0 && errno == EINTR) {
    }
  }

  void OnReadDone(bool ok) override {
    if (ok) return Raise();
    this->RemoveHold();  // OnDone() follows.
  }

  void OnDone(const grpc::Status& status) override {
    status_ = status;
    ended_.store(true, std::memory_order_release);
    Raise();  // Last: this may be gone now.
  }

  const Request request_;
  const Explain explain_;
  const UniqueFd raised_;
  grpc::ClientContext context_;
  Message message_;
  grpc::Status status_;
  std::atomic<bool> ended_{false};
  bool reading_ = false;
};

}  // namespace apm::ctl
