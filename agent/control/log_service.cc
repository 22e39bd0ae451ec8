#include "agent/control/log_service.h"

#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/control/convert.h"
#include "agent/logs/log_reader.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

absl::StatusOr<v1::ReadLogResponse> ReadLog(const agent::LogQuery& query,
                                            const agent::LogFile& file) {
  auto lines = logs::ReadLast(file.path, query.lines, ToFilter(query, file));
  // A worker that has printed nothing yet has no file.
  if (absl::IsNotFound(lines.status())) return ToProto({}, file);
  APM_RETURN_IF_ERROR(lines.status());
  return ToProto(*lines, file);
}

}  // namespace

grpc::ServerUnaryReactor* LogService::Read(grpc::CallbackServerContext* context,
                                           const v1::ReadLogRequest* request,
                                           v1::ReadLogResponse* response) {
  return gate_.Enter(
      Method::kReadLog, *context, *request, response,
      [this](const auto& /*caller*/, const auto& wanted, const auto& call) {
        absl::StatusOr<agent::LogQuery> query = FromProto(wanted);
        if (!query.ok()) return call->Refuse(query.status());
        absl::StatusOr<agent::LogFile> file = api_.FindLog(query->name);
        if (!file.ok()) return call->Refuse(file.status());
        disk_.Post([call, query = *std::move(query), file = *std::move(file)] {
          if (call->waiting()) call->Answer(ReadLog(query, file));
        });
      });
}

}  // namespace apm::control
