// One unary call, from its start to its one answer.
//
// Three may want to answer: the agent's loop, with the result; gRPC, when the
// client has cancelled or its deadline has passed; and the server when it
// stops. The first wins, the others are dropped: after the answer gRPC may
// free the request, the response and the call itself.

#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include "agent/control/grpc_status.h"
#include "agent/control/open_calls.h"

namespace apm::control {

// Owned by: gRPC until OnDone(), and by whoever is to answer. Thread: any.
template <typename Response>
class UnaryCall final
    : public grpc::ServerUnaryReactor,
      public OpenCall,
      public std::enable_shared_from_this<UnaryCall<Response>> {
 public:
  // `open_calls` outlives gRPC's part of the call; `response` is gRPC's.
  static std::shared_ptr<UnaryCall> Create(OpenCalls& open_calls,
                                           Response* response) {
    std::shared_ptr<UnaryCall> call(new UnaryCall(open_calls, response));
    call->held_by_grpc_ = call;
    return call;
  }

  // False if an answer would be dropped: work for it may be left undone.
  bool waiting() const { return !answered_.load(std::memory_order_acquire); }

  void Answer(absl::StatusOr<Response> result) {
    if (answered_.exchange(true, std::memory_order_acq_rel)) return;
    if (result.ok()) *response_ = *std::move(result);
    Finish(ToGrpcStatus(result.status()));
  }

  void Refuse(const absl::Status& status) override { Answer(status); }

  void OnCancel() override { Refuse(absl::CancelledError("cancelled")); }

  void OnDone() override {
    open_calls_.Remove(this);
    held_by_grpc_.reset();  // Last: this may be gone now.
  }

 private:
  UnaryCall(OpenCalls& open_calls, Response* response)
      : open_calls_(open_calls), response_(response) {}

  OpenCalls& open_calls_;
  Response* const response_;
  std::atomic<bool> answered_{false};
  std::shared_ptr<UnaryCall> held_by_grpc_;
};

}  // namespace apm::control
