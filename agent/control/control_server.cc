// The accepting half runs on the agent's loop and ends with handing a socket to
// gRPC; the answering half is gate.h and the services.
//
// Why gRPC does not listen itself: it would know neither the peer's groups nor
// his namespaces, and could not refuse a connection.

#include "agent/control/control_server.h"

#include <errno.h>
#include <grpc/grpc.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include "agent/control/access.h"
#include "agent/control/agent_service.h"
#include "agent/control/config_service.h"
#include "agent/control/connections.h"
#include "agent/control/control_socket.h"
#include "agent/control/event_service.h"
#include "agent/control/gate.h"
#include "agent/control/log_service.h"
#include "agent/control/peer.h"
#include "agent/control/worker_service.h"
#include "base/log/log.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

constexpr int kMaxMessageSize = 4 << 20;
constexpr int kMaxStreamsPerConnection = 64;

// Connections taken in one turn of the loop, so that a flood of them does not
// hold up supervision.
constexpr int kMaxAcceptsPerTurn = 16;
// When accept() fails for want of descriptors or memory.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);
constexpr absl::Duration kRefusalLogInterval = absl::Seconds(10);

// gRPC serves a connection once it is ours; a peer that goes before that is
// not worth a word.
bool WaitsForMore(int accept_error) {
  return accept_error == EAGAIN || accept_error == ECONNABORTED ||
         accept_error == EINTR;
}

}  // namespace

class ControlServer::Impl {
 public:
  Impl(EventLoop& loop, std::unique_ptr<EventLoop> disk, agent::AgentApi& api,
       AccessPolicy policy, ControlSocket socket)
      : loop_(loop),
        policy_(std::move(policy)),
        socket_(std::move(socket)),
        gate_(loop, connections_, policy_),
        disk_(std::move(disk)),
        agent_service_(gate_, api),
        worker_service_(gate_, api),
        config_service_(gate_, api),
        log_service_(gate_, api, loop, *disk_),
        event_service_(gate_, api) {
    // Held for the life of the process: whoever releases gRPC last waits for
    // its threads, up to ten seconds if a stream has just been cut off.
    grpc_init();
  }

  ~Impl() { Stop(absl::ZeroDuration()); }

  absl::Status Start();
  void Stop(absl::Duration grace);

 private:
  absl::Status StartAccepting();
  void Accept();
  void TakeConnection(UniqueFd connection);
  void LogRefusal(const absl::Status& reason);

  EventLoop& loop_;
  const AccessPolicy policy_;
  std::optional<ControlSocket> socket_;
  Connections connections_;
  Gate gate_;
  std::unique_ptr<EventLoop> disk_;  // Of disk_thread_.
  std::thread disk_thread_;
  AgentService agent_service_;
  WorkerService worker_service_;
  ConfigService config_service_;
  LogService log_service_;
  EventService event_service_;
  std::unique_ptr<grpc::Server> server_;
  TimerId accept_pause_ = kNoTimer;
  absl::Duration next_refusal_log_ = -absl::InfiniteDuration();
};

absl::Status ControlServer::Impl::Start() {
  // Global to the process: whatever server is built next has health.
  grpc::EnableDefaultHealthCheckService(true);
  // By name, since a static library's self-registration is not linked in.
  // Once: every call adds another copy.
  static const bool with_reflection = [] {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(with_reflection);

  grpc::ServerBuilder builder;
  builder.RegisterService(&agent_service_);
  builder.RegisterService(&worker_service_);
  builder.RegisterService(&config_service_);
  builder.RegisterService(&log_service_);
  builder.RegisterService(&event_service_);
  builder.SetMaxReceiveMessageSize(kMaxMessageSize);
  builder.SetMaxSendMessageSize(kMaxMessageSize);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxStreamsPerConnection);
  // Reflection is the only service that blocks threads.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  server_ = builder.BuildAndStart();
  if (!server_) return absl::InternalError("start the gRPC server");
  server_->GetHealthCheckService()->SetServingStatus(true);

  disk_thread_ = std::thread([this] { disk_->Run(); });
  return StartAccepting();
}

absl::Status ControlServer::Impl::StartAccepting() {
  return loop_.Add(socket_->fd(), EPOLLIN, [this](uint32_t) { Accept(); });
}

void ControlServer::Impl::Accept() {
  for (int i = 0; i < kMaxAcceptsPerTurn; ++i) {
    UniqueFd connection(
        accept4(socket_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
      TakeConnection(std::move(connection));
      continue;
    }
    if (WaitsForMore(errno)) return;
    LogRefusal(absl::ErrnoToStatus(errno, "accept a connection"));
    // The connection stays in the queue and the socket readable: look away for
    // a while, else the loop spins.
    loop_.Remove(socket_->fd());
    accept_pause_ = loop_.RunAfter(kAcceptPause, [this] {
      accept_pause_ = kNoTimer;
      if (const absl::Status status = StartAccepting(); !status.ok()) {
        log::Error("control socket: %s", status.ToString());
      }
    });
    return;
  }
}

void ControlServer::Impl::TakeConnection(UniqueFd connection) {
  const absl::StatusOr<Peer> peer = ReadPeer(connection.get());
  if (!peer.ok()) return LogRefusal(peer.status());
  absl::StatusOr<UniqueFd> admitted = connections_.Admit(
      std::move(connection), *peer, RoleOf(*peer, policy_) != Role::kNone);
  if (!admitted.ok()) return LogRefusal(admitted.status());
  grpc::AddInsecureChannelFromFd(server_.get(), admitted->Release());
}

void ControlServer::Impl::LogRefusal(const absl::Status& reason) {
  if (loop_.Now() < next_refusal_log_) return;
  next_refusal_log_ = loop_.Now() + kRefusalLogInterval;
  log::Warning("control socket: a connection was refused: %s",
               std::string(reason.message()));
}

void ControlServer::Impl::Stop(absl::Duration grace) {
  if (!socket_) return;
  loop_.Remove(socket_->fd());
  loop_.Cancel(accept_pause_);
  socket_.reset();
  gate_.Close();
  if (server_) {
    server_->GetHealthCheckService()->SetServingStatus(false);
    server_->Shutdown(std::chrono::system_clock::now() +
                      absl::ToChronoNanoseconds(grace));
    server_.reset();
  }
  if (disk_thread_.joinable()) {
    disk_->Stop();
    disk_thread_.join();
  }
}

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Create(
    EventLoop& loop, agent::AgentApi& api, ControlOptions options) {
  APM_ASSIGN_OR_RETURN(ControlSocket socket,
                       ControlSocket::Listen(options.socket));
  APM_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> disk, EventLoop::Create());
  return std::unique_ptr<ControlServer>(
      new ControlServer(std::make_unique<Impl>(
          loop, std::move(disk), api,
          AccessPolicy{options.owner, std::move(options.allow_groups)},
          std::move(socket))));
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

ControlServer::~ControlServer() = default;

absl::Status ControlServer::Start() { return impl_->Start(); }

void ControlServer::Stop(absl::Duration grace) { impl_->Stop(grace); }

}  // namespace apm::control
