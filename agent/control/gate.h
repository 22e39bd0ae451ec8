// The one way into every handler: authorise on gRPC's thread, then run on the
// agent's loop, but for what any thread may do. A method that does not go
// through here has no access to the agent.

#pragma once

#include <memory>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "agent/agent_api.h"
#include "agent/control/access.h"
#include "agent/control/connections.h"
#include "agent/control/open_calls.h"
#include "agent/control/unary_call.h"
#include "base/os/event_loop.h"

namespace apm::control {

template <typename Response>
using CallPtr = std::shared_ptr<UnaryCall<Response>>;

// Thread: any.
class Gate {
 public:
  // `loop` and `connections` outlive the gate.
  Gate(EventLoop& loop, const Connections& connections, AccessPolicy policy)
      : loop_(loop), connections_(connections), policy_(std::move(policy)) {}

  // Runs handler(caller, request, call) on the loop, unless the caller may not
  // call `method` or has gone by then. The request is a copy: the original is
  // gRPC's, and freed at the first answer.
  template <typename Request, typename Response, typename Handler>
  grpc::ServerUnaryReactor* Enter(Method method,
                                  const grpc::CallbackServerContext& context,
                                  const Request& request, Response* response,
                                  Handler handler) {
    CallPtr<Response> call = UnaryCall<Response>::Create(open_calls_, response);
    grpc::ServerUnaryReactor* const reactor = call.get();
    absl::StatusOr<agent::Caller> caller = Admit(method, context, call);
    if (!caller.ok()) {
      call->Refuse(caller.status());
    } else {
      loop_.Post([call = std::move(call), caller = *caller, request,
                  handler = std::move(handler)] {
        if (call->waiting()) handler(caller, request, call);
      });
    }
    return reactor;
  }

  // Runs handler(call) at once, on gRPC's thread: it must not block.
  template <typename Response, typename Handler>
  grpc::ServerUnaryReactor* EnterHere(
      Method method, const grpc::CallbackServerContext& context,
      Response* response, Handler handler) {
    CallPtr<Response> call = UnaryCall<Response>::Create(open_calls_, response);
    grpc::ServerUnaryReactor* const reactor = call.get();
    const absl::StatusOr<agent::Caller> caller = Admit(method, context, call);
    if (!caller.ok()) {
      call->Refuse(caller.status());
    } else {
      handler(call);
    }
    return reactor;
  }

  // Runs start(call) at once, for `call` a new StreamCall.
  template <typename Call, typename Start>
  Call* EnterStream(Method method, const grpc::CallbackServerContext& context,
                    std::shared_ptr<Call> call, Start start) {
    Call* const reactor = call.get();
    Call::Hold(call);
    const absl::StatusOr<agent::Caller> caller = Admit(method, context, call);
    if (!caller.ok()) {
      call->Refuse(caller.status());
    } else {
      start(*call);
    }
    return reactor;
  }

  // Of all calls that came through here.
  OpenCalls& open_calls() { return open_calls_; }

  // Answers what waits with UNAVAILABLE, and whatever comes later.
  void Close() { open_calls_.RefuseAll(StoppingStatus()); }

 private:
  static absl::Status StoppingStatus();

  // kPermissionDenied if the peer may not call `method`, kUnavailable once
  // closed. Else the call will be answered when the gate closes.
  absl::StatusOr<agent::Caller> Admit(
      Method method, const grpc::CallbackServerContext& context,
      const std::shared_ptr<OpenCall>& call);
  // kPermissionDenied if the peer may not call `method`.
  absl::StatusOr<agent::Caller> Identify(Method method,
                                         const std::string& peer_name) const;

  EventLoop& loop_;
  const Connections& connections_;
  const AccessPolicy policy_;
  OpenCalls open_calls_;
};

}  // namespace apm::control
