#include "ctl/client.h"

#include <fcntl.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/status.h>

#include "apm/v1/agent.grpc.pb.h"
#include "apm/v1/event.grpc.pb.h"
#include "apm/v1/log.grpc.pb.h"
#include "apm/v1/worker.grpc.pb.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"
#include "ctl/grpc_stream.h"
#include "ctl/stream.h"
#include "ctl/trust.h"

namespace apm::ctl {
namespace {

// Room for a long error message, which is a header.
constexpr int kMaxHeaderBytes = 64 << 10;

template <typename Request>
Request Named(const std::string& name) {
  Request request;
  request.set_name(name);
  return request;
}

template <typename Request>
Request Named(const std::string& name, bool no_wait) {
  auto request = Named<Request>(name);
  request.set_no_wait(no_wait);
  return request;
}

}  // namespace

struct Client::Stubs {
  Stubs(const Globals& globals, absl::Time deadline_at,
        const std::shared_ptr<grpc::Channel>& channel)
      : socket(globals.socket),
        timeout(globals.timeout),
        deadline(deadline_at),
        agent(channel),
        worker(channel),
        log(channel),
        event(channel) {}

  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(
      Stub& stub,
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      const Request& request) const {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (status.ok()) return response;
    return Explain(status);
  }

  // `start` is a method of a stub's async().
  template <typename Message, typename Request, typename Start>
  std::unique_ptr<Stream<Message>> Open(const Request& request,
                                        const Start& start) const {
    return std::make_unique<GrpcStream<Request, Message>>(
        request, start,
        [this](const grpc::Status& status) { return Explain(status); });
  }

  // gRPC's own words for a broken connection or a passed deadline help nobody.
  absl::Status Explain(const grpc::Status& status) const {
    if (status.error_code() == grpc::UNAVAILABLE) {
      return absl::UnavailableError(absl::StrCat(
          "the agent on '", socket, "' went away: ", status.error_message(),
          "; look: apmctl status"));
    }
    if (status.error_code() == grpc::DEADLINE_EXCEEDED) {
      return absl::DeadlineExceededError(absl::StrCat(
          "no answer within ",
          absl::FormatDuration(absl::Ceil(timeout, absl::Milliseconds(1))),
          "; what was asked for may still happen: look with apmctl list, or "
          "wait longer with --timeout"));
    }
    return {static_cast<absl::StatusCode>(status.error_code()),
            status.error_message()};
  }

  const std::string socket;
  const absl::Duration timeout;
  const absl::Time deadline;
  v1::AgentService::Stub agent;
  v1::WorkerService::Stub worker;
  v1::LogService::Stub log;
  v1::EventService::Stub event;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(
    const Globals& globals) {
  const absl::Time deadline = absl::Now() + globals.timeout;
  APM_ASSIGN_OR_RETURN(UniqueFd socket,
                       ConnectToAgent(globals, globals.timeout));
  fcntl(socket.get(), F_SETFL, O_NONBLOCK);  // As gRPC wants it.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxHeaderBytes);
  const std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomInsecureChannelFromFd("apm", socket.Release(),
                                              arguments);
  return std::unique_ptr<Client>(
      new Client(std::make_unique<Stubs>(globals, deadline, channel)));
}

Client::Client(std::unique_ptr<Stubs> stubs) : stubs_(std::move(stubs)) {}

Client::~Client() = default;

absl::StatusOr<v1::GetStatusResponse> Client::GetStatus() {
  return stubs_->Call(stubs_->agent, &v1::AgentService::Stub::GetStatus,
                      v1::GetStatusRequest());
}

absl::StatusOr<v1::ShutdownResponse> Client::Shutdown() {
  return stubs_->Call(stubs_->agent, &v1::AgentService::Stub::Shutdown,
                      v1::ShutdownRequest());
}

absl::StatusOr<v1::Worker> Client::Create(
    const v1::CreateWorkerRequest& request) {
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Create,
                      request);
}

absl::StatusOr<v1::Worker> Client::Get(const std::string& name) {
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Get,
                      Named<v1::GetWorkerRequest>(name));
}

absl::StatusOr<v1::ListWorkersResponse> Client::List() {
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::List,
                      v1::ListWorkersRequest());
}

absl::StatusOr<v1::Worker> Client::Start(const std::string& name,
                                         bool no_wait) {
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Start,
                      Named<v1::StartWorkerRequest>(name, no_wait));
}

absl::StatusOr<v1::Worker> Client::Stop(const std::string& name, bool no_wait) {
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Stop,
                      Named<v1::StopWorkerRequest>(name, no_wait));
}

absl::StatusOr<v1::Worker> Client::Restart(const std::string& name,
                                           bool no_wait) {
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Restart,
                      Named<v1::RestartWorkerRequest>(name, no_wait));
}

absl::StatusOr<v1::Worker> Client::Reload(const std::string& name,
                                          bool no_wait) {
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Reload,
                      Named<v1::ReloadWorkerRequest>(name, no_wait));
}

absl::StatusOr<v1::DeleteWorkerResponse> Client::Delete(
    const std::string& name) {
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Delete,
                      Named<v1::DeleteWorkerRequest>(name));
}

absl::StatusOr<v1::ReadLogResponse> Client::ReadLog(
    const v1::ReadLogRequest& request) {
  return stubs_->Call(stubs_->log, &v1::LogService::Stub::Read, request);
}

absl::StatusOr<v1::ListEventsResponse> Client::ListEvents(
    const v1::ListEventsRequest& request) {
  return stubs_->Call(stubs_->event, &v1::EventService::Stub::List, request);
}

std::unique_ptr<Stream<v1::FollowLogResponse>> Client::FollowLog(
    const v1::FollowLogRequest& request) {
  return stubs_->Open<v1::FollowLogResponse>(
      request, [this](auto* context, const auto* asked, auto* reactor) {
        stubs_->log.async()->Follow(context, asked, reactor);
      });
}

std::unique_ptr<Stream<v1::WatchEventsResponse>> Client::WatchEvents(
    const v1::WatchEventsRequest& request) {
  return stubs_->Open<v1::WatchEventsResponse>(
      request, [this](auto* context, const auto* asked, auto* reactor) {
        stubs_->event.async()->Watch(context, asked, reactor);
      });
}

}  // namespace apm::ctl
