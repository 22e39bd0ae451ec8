// One caller who follows logs, for as long as he stays.
//
// Three threads meet: the agent's loop finds the workers; the reader's loop
// reads files, one message at a time and only when the last one has left; the
// transport takes it. The log thread only says that there is more.

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/agent_api.h"
#include "agent/control/stream_call.h"
#include "agent/logs/log_feed.h"
#include "agent/logs/log_follower.h"
#include "agent/logs/log_position.h"
#include "agent/logs/log_reader.h"
#include "apm/v1/log.pb.h"
#include "base/os/event_loop.h"

namespace apm::control {

// What all calls share. Owned by: the LogService and the calls.
struct LogReading {
  LogReading(EventLoop& agent_loop, EventLoop& reader_loop)
      : agent(agent_loop), reader(reader_loop) {}

  EventLoop& agent;   // Of the AgentApi.
  EventLoop& reader;  // Of a thread that may block on files.
  // The reader's.
  std::vector<char> scratch = std::vector<char>(logs::kScratchBytes);
  std::atomic<int> calls{0};
};

// Beyond this many a caller is refused: each may hold kMaxBacklogFiles.
inline constexpr int kMaxFollowCalls = 32;

// Owned by: gRPC, and work that is posted. Thread: any.
class LogFollow final : public StreamCall<v1::FollowLogResponse>,
                        public std::enable_shared_from_this<LogFollow> {
 public:
  LogFollow(OpenCalls& open_calls, std::shared_ptr<LogReading> reading,
            agent::AgentApi& api, const v1::FollowLogRequest& request);
  ~LogFollow() override;

  // Ends the call if the request cannot be served.
  void Start();

  void OnDone() override;

 private:
  absl::StatusOr<bool> Next(v1::FollowLogResponse& response) override;

  void Subscribe();
  // On the agent's loop.
  absl::StatusOr<std::vector<logs::FollowedWorker>> FindWorkers();
  absl::Status FindNamed(std::vector<logs::FollowedWorker>& workers);
  void FindAll(std::vector<logs::FollowedWorker>& workers);
  logs::FollowedWorker Found(const agent::LogFile& file) const;
  // On the reader's.
  void OpenFiles();
  void Prepare();
  std::optional<v1::FollowLogResponse> ReadMessage();
  void PostPrepare();

  const std::shared_ptr<LogReading> reading_;
  agent::AgentApi& api_;
  const v1::FollowLogRequest request_;
  logs::LastLines start_;
  std::map<std::string, logs::LogPosition> after_;  // By worker.
  std::shared_ptr<logs::LogFeed> feed_;
  std::shared_ptr<logs::LogSubscription> subscription_;

  // The reader's.
  std::unique_ptr<logs::LogFollower> follower_;
  bool begun_ = false;  // The first message is made.
  bool more_ = false;   // The last message did not hold all there is.

  std::mutex mutex_;
  bool wanted_ = false;  // Guarded by mutex_: the transport waits for one.
  std::optional<v1::FollowLogResponse> prepared_;  // Guarded too.
};

}  // namespace apm::control
