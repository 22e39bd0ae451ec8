#include "ctl/client.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/status.h>

#include "apm/v1/agent.grpc.pb.h"
#include "apm/v1/config.grpc.pb.h"
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

// The next agent after one that was there a moment ago: it may have more to do
// at its start than an idle one.
constexpr absl::Duration kSuccession = absl::Seconds(2);

// Nothing tells when a socket appears in the abstract namespace.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(10);

absl::StatusOr<UniqueFd> ConnectWithin(absl::Duration absence,
                                       const Globals& globals,
                                       absl::Time deadline) {
  const absl::Time give_up = std::min(absl::Now() + absence, deadline);
  for (;;) {
    absl::StatusOr<UniqueFd> socket = ConnectToAgent(
        globals, std::max(deadline - absl::Now(), absl::ZeroDuration()));
    if (!absl::IsUnavailable(socket.status()) || absl::Now() >= give_up) {
      return socket;
    }
    absl::SleepFor(kRetryInterval);
  }
}

// Where to look when it is not known what became of a command.
std::string InfoOf(const std::string& name) {
  return absl::StrCat("apmctl info ", name.substr(0, name.find('/')));
}

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
  static constexpr std::string_view kLookAtAgent = "apmctl status";

  Stubs(const Globals& globals, absl::Time deadline_at,
        const std::shared_ptr<grpc::Channel>& channel)
      : socket(globals.socket),
        timeout(globals.timeout),
        deadline(deadline_at),
        agent(channel),
        config(channel),
        worker(channel),
        log(channel),
        event(channel) {}

  static absl::StatusOr<std::unique_ptr<Stubs>> Connect(const Globals& globals,
                                                        absl::Time deadline,
                                                        absl::Duration absence);

  // `look` is the command that shows what became of it if the agent dies.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(
      Stub& stub,
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      const Request& request, std::string_view look = kLookAtAgent) const {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (status.ok()) return response;
    return Explain(status, look);
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
  absl::Status Explain(const grpc::Status& status,
                       std::string_view look = kLookAtAgent) const {
    if (status.error_code() == grpc::UNAVAILABLE) {
      return absl::UnavailableError(absl::StrFormat(
          "the agent on '%s' went away before it answered; see the state with: "
          "%s",
          socket, look));
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
  v1::ConfigService::Stub config;
  v1::WorkerService::Stub worker;
  v1::LogService::Stub log;
  v1::EventService::Stub event;
};

absl::StatusOr<std::unique_ptr<Client::Stubs>> Client::Stubs::Connect(
    const Globals& globals, absl::Time deadline, absl::Duration absence) {
  APM_ASSIGN_OR_RETURN(UniqueFd socket,
                       ConnectWithin(absence, globals, deadline));
  fcntl(socket.get(), F_SETFL, O_NONBLOCK);  // As gRPC wants it.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxHeaderBytes);
  return std::make_unique<Stubs>(globals, deadline,
                                 grpc::CreateCustomInsecureChannelFromFd(
                                     "apm", socket.Release(), arguments));
}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(
    const Globals& globals, absl::Duration absence) {
  const absl::Time deadline = absl::Now() + globals.timeout;
  APM_ASSIGN_OR_RETURN(std::unique_ptr<Stubs> stubs,
                       Stubs::Connect(globals, deadline, absence));
  return std::unique_ptr<Client>(
      new Client(globals, deadline, std::move(stubs)));
}

Client::Client(const Globals& globals, absl::Time deadline,
               std::unique_ptr<Stubs> stubs)
    : globals_(globals), deadline_(deadline), stubs_(std::move(stubs)) {}

Client::~Client() = default;

template <typename Call>
auto Client::Ask(const Call& call) {
  auto answer = call(*stubs_);
  // More than once: a process that is being killed closes our connection
  // before its listening socket, and so seems to take the next one.
  const absl::Time give_up = absl::Now() + kSuccession;
  while (absl::IsUnavailable(answer.status()) && absl::Now() < give_up) {
    absl::SleepFor(kRetryInterval);
    auto successor = Stubs::Connect(globals_, deadline_, give_up - absl::Now());
    if (!successor.ok()) break;
    stubs_ = *std::move(successor);
    answer = call(*stubs_);
  }
  return answer;
}

// ---- Questions ----

absl::StatusOr<v1::GetStatusResponse> Client::GetStatus() {
  return Ask([](Stubs& stubs) {
    return stubs.Call(stubs.agent, &v1::AgentService::Stub::GetStatus,
                      v1::GetStatusRequest());
  });
}

absl::StatusOr<v1::Worker> Client::Get(const std::string& name) {
  return Ask([&name](Stubs& stubs) {
    return stubs.Call(stubs.worker, &v1::WorkerService::Stub::Get,
                      Named<v1::GetWorkerRequest>(name));
  });
}

absl::StatusOr<v1::ListWorkersResponse> Client::List() {
  return Ask([](Stubs& stubs) {
    return stubs.Call(stubs.worker, &v1::WorkerService::Stub::List,
                      v1::ListWorkersRequest());
  });
}

absl::StatusOr<v1::ReadLogResponse> Client::ReadLog(
    const v1::ReadLogRequest& request) {
  return Ask([&request](Stubs& stubs) {
    return stubs.Call(stubs.log, &v1::LogService::Stub::Read, request);
  });
}

absl::StatusOr<v1::ListEventsResponse> Client::ListEvents(
    const v1::ListEventsRequest& request) {
  return Ask([&request](Stubs& stubs) {
    return stubs.Call(stubs.event, &v1::EventService::Stub::List, request);
  });
}

// ---- Commands ----

// A command is not repeated, since nobody knows what became of the first one.
// So it is given only to an agent that has answered: not to one that is being
// killed, whose socket still takes connections.
void Client::Meet() {
  if (!std::exchange(met_, true)) GetStatus().IgnoreError();
}

absl::StatusOr<v1::ShutdownResponse> Client::Shutdown() {
  Meet();
  return stubs_->Call(stubs_->agent, &v1::AgentService::Stub::Shutdown,
                      v1::ShutdownRequest());
}

absl::StatusOr<v1::UpgradeResponse> Client::Upgrade(
    const v1::UpgradeRequest& request) {
  Meet();
  return stubs_->Call(stubs_->agent, &v1::AgentService::Stub::Upgrade, request);
}

absl::StatusOr<v1::ApplyConfigResponse> Client::ApplyConfig(
    const v1::ApplyConfigRequest& request) {
  Meet();
  return stubs_->Call(stubs_->config, &v1::ConfigService::Stub::Apply, request,
                      "apmctl config apply --dry-run");
}

absl::StatusOr<v1::Worker> Client::Create(
    const v1::CreateWorkerRequest& request) {
  Meet();
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Create, request,
                      InfoOf(request.config().name()));
}

absl::StatusOr<v1::Worker> Client::Start(const std::string& name,
                                         bool no_wait) {
  Meet();
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Start,
                      Named<v1::StartWorkerRequest>(name, no_wait),
                      InfoOf(name));
}

absl::StatusOr<v1::Worker> Client::Stop(const std::string& name, bool no_wait) {
  Meet();
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Stop,
                      Named<v1::StopWorkerRequest>(name, no_wait),
                      InfoOf(name));
}

absl::StatusOr<v1::Worker> Client::Restart(const std::string& name,
                                           bool no_wait) {
  Meet();
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Restart,
                      Named<v1::RestartWorkerRequest>(name, no_wait),
                      InfoOf(name));
}

absl::StatusOr<v1::Worker> Client::Reload(const std::string& name,
                                          bool no_wait) {
  Meet();
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Reload,
                      Named<v1::ReloadWorkerRequest>(name, no_wait),
                      InfoOf(name));
}

absl::StatusOr<v1::Worker> Client::Scale(
    const v1::ScaleWorkerRequest& request) {
  Meet();
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Scale, request,
                      InfoOf(request.name()));
}

absl::StatusOr<v1::DeleteWorkerResponse> Client::Delete(
    const std::string& name) {
  Meet();
  return stubs_->Call(stubs_->worker, &v1::WorkerService::Stub::Delete,
                      Named<v1::DeleteWorkerRequest>(name), InfoOf(name));
}

// ---- Streams ----

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
