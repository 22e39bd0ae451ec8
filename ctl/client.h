// The agent's API as plain calls. Keeps gRPC in one file.

#pragma once

#include <sys/socket.h>

#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "apm/v1/agent.pb.h"
#include "apm/v1/config.pb.h"
#include "apm/v1/event.pb.h"
#include "apm/v1/log.pb.h"
#include "apm/v1/worker.pb.h"
#include "ctl/command_line.h"

namespace apm::ctl {

template <typename Message>
class Stream;  // stream.h

// How long a socket that nobody holds is tried again. The keeper starts an
// agent that died at once, and that one is there some 50 ms later; that there
// is a keeper cannot be seen from outside.
inline constexpr absl::Duration kAbsence = absl::Seconds(1);

// Each call takes what is left of Globals::timeout, counted from Connect(),
// and fails with words for the user: kDeadlineExceeded when it is used up,
// kUnavailable when the agent has gone, else the agent's own answer.
//
// Calls that change nothing (GetStatus, Get, List, ReadLog, ListEvents) ask
// the next agent when this one dies before it has answered; so none of them
// while one of this client's streams is open. What a call that changes
// something has done by then is not known: its error says where to look.
class Client {
 public:
  // kUnavailable if nobody answers on the socket within `absence`,
  // kPermissionDenied if who does is not trusted (see trust.h),
  // kInvalidArgument if it is no address.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(
      const Globals& globals, absl::Duration absence = kAbsence);

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  absl::StatusOr<v1::GetStatusResponse> GetStatus();
  absl::StatusOr<v1::ShutdownResponse> Shutdown();
  absl::StatusOr<v1::UpgradeResponse> Upgrade(
      const v1::UpgradeRequest& request);

  absl::StatusOr<v1::Worker> Create(const v1::CreateWorkerRequest& request);
  absl::StatusOr<v1::Worker> Get(const std::string& name);
  absl::StatusOr<v1::ListWorkersResponse> List();
  absl::StatusOr<v1::Worker> Start(const std::string& name, bool no_wait);
  absl::StatusOr<v1::Worker> Stop(const std::string& name, bool no_wait);
  absl::StatusOr<v1::Worker> Restart(const std::string& name, bool no_wait);
  absl::StatusOr<v1::Worker> Reload(const std::string& name, bool no_wait);
  absl::StatusOr<v1::Worker> Scale(const v1::ScaleWorkerRequest& request);
  absl::StatusOr<v1::DeleteWorkerResponse> Delete(const std::string& name);

  absl::StatusOr<v1::ApplyConfigResponse> ApplyConfig(
      const v1::ApplyConfigRequest& request);

  absl::StatusOr<v1::ReadLogResponse> ReadLog(
      const v1::ReadLogRequest& request);
  absl::StatusOr<v1::ListEventsResponse> ListEvents(
      const v1::ListEventsRequest& request);

  // These may last for ever. The stream ends before its client does.
  std::unique_ptr<Stream<v1::FollowLogResponse>> FollowLog(
      const v1::FollowLogRequest& request);
  std::unique_ptr<Stream<v1::WatchEventsResponse>> WatchEvents(
      const v1::WatchEventsRequest& request);

 private:
  struct Stubs;
  Client(const Globals& globals, absl::Time deadline,
         std::unique_ptr<Stubs> stubs);

  // Makes `call`, which gets Stubs and changes nothing; again, of the next
  // agent, if this one has gone.
  template <typename Call>
  auto Ask(const Call& call);

  void Meet();

  const Globals globals_;
  const absl::Time deadline_;
  bool met_ = false;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace apm::ctl
