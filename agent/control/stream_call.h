// One server-streaming call, from its start to its one end.
//
// It asks for a message when the last one has left, so that a caller who does
// not read holds one message and no more. Threads: gRPC's, with what the
// transport did; whoever knows that there is more; and the server when it
// stops. A mutex orders them, since a write must not follow the end.

#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/support/server_callback.h>

#include "agent/control/grpc_status.h"
#include "agent/control/open_calls.h"

namespace apm::control {

// Owned by: gRPC until OnDone(). Thread: any.
template <typename Response>
class StreamCall : public grpc::ServerWriteReactor<Response>, public OpenCall {
 public:
  // Hands a new call to gRPC, which ends it.
  static void Hold(std::shared_ptr<StreamCall> call) {
    StreamCall* const held = call.get();
    held->held_by_grpc_ = std::move(call);
  }

  // Says that there may be more to send.
  void Pump() {
    const std::lock_guard lock(mutex_);
    PumpLocked();
  }

  void Refuse(const absl::Status& status) override {
    const std::lock_guard lock(mutex_);
    EndLocked(status);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) return EndLocked(absl::CancelledError("the caller has gone"));
    PumpLocked();
  }

  void OnCancel() override { Refuse(absl::CancelledError("cancelled")); }

  void OnDone() override {
    open_calls_.Remove(this);
    held_by_grpc_.reset();  // Last: this may be gone now.
  }

 protected:
  // `open_calls` outlives gRPC's part of the call.
  explicit StreamCall(OpenCalls& open_calls) : open_calls_(open_calls) {}

  // Fills the next message, if there is one: false if there is nothing to send
  // now. An error ends the call. Called under the call's mutex, on any thread,
  // one at a time, never after the end.
  virtual absl::StatusOr<bool> Next(Response& response) = 0;

 private:
  void PumpLocked() {
    if (writing_ || ended_) return;
    message_.Clear();
    const absl::StatusOr<bool> more = Next(message_);
    if (!more.ok()) return EndLocked(more.status());
    if (!*more) return;
    writing_ = true;
    this->StartWrite(&message_);
  }

  void EndLocked(const absl::Status& status) {
    if (std::exchange(ended_, true)) return;
    this->Finish(ToGrpcStatus(status));
  }

  OpenCalls& open_calls_;
  std::mutex mutex_;
  bool writing_ = false;  // Guarded by mutex_, as are the next two.
  bool ended_ = false;
  Response message_;  // gRPC's while writing_.
  std::shared_ptr<StreamCall> held_by_grpc_;
};

}  // namespace apm::control
