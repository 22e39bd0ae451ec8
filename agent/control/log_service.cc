#include "agent/control/log_service.h"

#include <memory>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/control/convert.h"
#include "agent/control/log_follow.h"
#include "agent/control/log_query.h"
#include "agent/logs/log_reader.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

absl::StatusOr<v1::ReadLogResponse> ReadLog(const logs::LastLines& wanted,
                                            const agent::LogFile& file) {
  auto lines = logs::ReadLast(file.path, wanted);
  // A worker that has printed nothing yet has no file.
  if (absl::IsNotFound(lines.status())) return ToProto({}, file);
  APM_RETURN_IF_ERROR(lines.status());
  return ToProto(*lines, file);
}

}  // namespace

LogService::LogService(Gate& gate, agent::AgentApi& api, EventLoop& loop,
                       EventLoop& reader)
    : gate_(gate),
      api_(api),
      reading_(std::make_shared<LogReading>(loop, reader)) {}

grpc::ServerUnaryReactor* LogService::Read(grpc::CallbackServerContext* context,
                                           const v1::ReadLogRequest* request,
                                           v1::ReadLogResponse* response) {
  return gate_.Enter(
      Method::kReadLog, *context, *request, response,
      [this](const auto& /*caller*/, const auto& asked, const auto& call) {
        absl::StatusOr<logs::LastLines> wanted = LastLinesOf(asked);
        if (!wanted.ok()) return call->Refuse(wanted.status());
        absl::StatusOr<agent::LogFile> file = api_.FindLog(asked.name());
        if (!file.ok()) return call->Refuse(file.status());
        if (file->instance >= 0) {
          wanted->filter.instances = {static_cast<uint32_t>(file->instance)};
        }
        reading_->reader.Post(
            [call, wanted = *std::move(wanted), file = *std::move(file)] {
              if (call->waiting()) call->Answer(ReadLog(wanted, file));
            });
      });
}

grpc::ServerWriteReactor<v1::FollowLogResponse>* LogService::Follow(
    grpc::CallbackServerContext* context, const v1::FollowLogRequest* request) {
  return gate_.EnterStream(
      Method::kFollowLog, *context,
      std::make_shared<LogFollow>(gate_.open_calls(), reading_, api_, *request),
      [](LogFollow& follow) { follow.Start(); });
}

}  // namespace apm::control
