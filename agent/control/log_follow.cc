#include "agent/control/log_follow.h"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include "agent/control/convert.h"
#include "agent/control/log_query.h"
#include "agent/logs/log_position.h"
#include "agent/logs/log_store.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

// Of lines in one message.
constexpr size_t kMessageBytes = size_t{128} << 10;

}  // namespace

LogFollow::LogFollow(OpenCalls& open_calls, std::shared_ptr<LogReading> reading,
                     agent::AgentApi& api, const v1::FollowLogRequest& request)
    : StreamCall(open_calls),
      reading_(std::move(reading)),
      api_(api),
      request_(request) {
  ++reading_->calls;
}

LogFollow::~LogFollow() { --reading_->calls; }

void LogFollow::Start() {
  absl::StatusOr<logs::LastLines> start = LastLinesOf(request_);
  if (!start.ok()) return Refuse(start.status());
  start_ = *std::move(start);
  auto after = PositionsOf(request_);
  if (!after.ok()) return Refuse(after.status());
  after_ = *std::move(after);
  if (reading_->calls > kMaxFollowCalls) {
    return Refuse(absl::ResourceExhaustedError(absl::StrCat(
        "logs are followed by ", kMaxFollowCalls,
        " callers already; end one of them, or read without following")));
  }
  Subscribe();  // Before the look: who comes in between is not missed.
  reading_->agent.Post([self = shared_from_this()] {
    auto workers = self->FindWorkers();
    if (!workers.ok()) return self->Refuse(workers.status());
    self->follower_ = std::make_unique<logs::LogFollower>(
        self->feed_, self->subscription_, *std::move(workers), self->start_);
    self->reading_->reader.Post([self] { self->OpenFiles(); });
  });
}

void LogFollow::Subscribe() {
  std::optional<std::set<std::string>> workers;
  if (!request_.names().empty()) {
    workers.emplace();
    for (const std::string& name : request_.names()) {
      workers->insert(name.substr(0, name.find('/')));
    }
  }
  feed_ = api_.logs().feed();
  subscription_ = std::make_shared<logs::LogSubscription>(
      std::move(workers), [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->PostPrepare();
      });
  feed_->Subscribe(subscription_);
}

// ---- On the agent's loop ----

absl::StatusOr<std::vector<logs::FollowedWorker>> LogFollow::FindWorkers() {
  std::vector<logs::FollowedWorker> workers;
  if (request_.names().empty()) {
    FindAll(workers);
  } else {
    APM_RETURN_IF_ERROR(FindNamed(workers));
  }
  return workers;
}

void LogFollow::FindAll(std::vector<logs::FollowedWorker>& workers) {
  for (const agent::WorkerView& view : api_.List()) {
    const auto file = api_.FindLog(view.config.name);
    if (file.ok()) workers.push_back(Found(*file));
  }
}

absl::Status LogFollow::FindNamed(std::vector<logs::FollowedWorker>& workers) {
  std::map<std::string, logs::FollowedWorker> found;
  std::set<std::string> whole;  // Named without an instance.
  for (const std::string& name : request_.names()) {
    APM_ASSIGN_OR_RETURN(const agent::LogFile file, api_.FindLog(name));
    auto& worker = found.try_emplace(file.worker, Found(file)).first->second;
    if (file.instance < 0) {
      whole.insert(file.worker);
    } else {
      worker.instances.insert(static_cast<uint32_t>(file.instance));
    }
  }
  for (auto& [name, worker] : found) {
    if (whole.contains(name)) worker.instances.clear();
    workers.push_back(std::move(worker));
  }
  return absl::OkStatus();
}

logs::FollowedWorker LogFollow::Found(const agent::LogFile& file) const {
  logs::FollowedWorker worker{file.worker, file.path, {}, std::nullopt};
  if (const auto after = after_.find(file.worker); after != after_.end()) {
    worker.after = after->second;
  }
  return worker;
}

// ---- On the reader's loop ----

// One worker a turn: others use this thread too.
void LogFollow::OpenFiles() {
  if (follower_->OpenNext()) {
    return reading_->reader.Post(
        [self = shared_from_this()] { self->OpenFiles(); });
  }
  Pump();
}

absl::StatusOr<bool> LogFollow::Next(v1::FollowLogResponse& response) {
  const std::lock_guard lock(mutex_);
  if (!prepared_) {
    wanted_ = true;
    PostPrepare();
    return false;
  }
  response.Swap(&*prepared_);
  prepared_.reset();
  return true;
}

void LogFollow::PostPrepare() {
  reading_->reader.Post([self = shared_from_this()] { self->Prepare(); });
}

void LogFollow::Prepare() {
  {
    const std::lock_guard lock(mutex_);
    if (!wanted_) return;
  }
  std::optional<v1::FollowLogResponse> message = ReadMessage();
  if (!message) {
    // Perhaps nothing passed the filter so far; else news will wake us.
    if (more_) PostPrepare();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    wanted_ = false;
    prepared_ = std::move(message);
  }
  Pump();
}

std::optional<v1::FollowLogResponse> LogFollow::ReadMessage() {
  v1::FollowLogResponse message;
  const logs::LogFollower::Progress progress = follower_->Take(
      reading_->scratch, kMessageBytes,
      [&message](const std::string& worker, const logs::LogLine& line) {
        *message.add_lines() = ToProto(line, worker);
      });
  more_ = progress.more;
  const bool is_first = !std::exchange(begun_, true);
  if (!is_first && !progress.is_worth_telling && message.lines().empty()) {
    return std::nullopt;
  }
  message.set_missed(progress.missed);
  for (const auto& [worker, position] : progress.positions) {
    v1::LogPosition& proto = *message.add_positions();
    proto.set_worker(worker);
    proto.set_position(logs::FormatPosition(position));
  }
  message.mutable_gaps()->Add(progress.gaps.begin(), progress.gaps.end());
  return message;
}

void LogFollow::OnDone() {
  if (feed_) feed_->Cancel(subscription_.get());
  StreamCall::OnDone();  // Last: this may be gone now.
}

}  // namespace apm::control
