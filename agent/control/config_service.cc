#include "agent/control/config_service.h"

#include <absl/status/statusor.h>

#include "agent/control/convert.h"

namespace apm::control {

grpc::ServerUnaryReactor* ConfigService::Apply(
    grpc::CallbackServerContext* context, const v1::ApplyConfigRequest* request,
    v1::ApplyConfigResponse* response) {
  return gate_.Enter(
      Method::kApplyConfig, *context, *request, response,
      [this](const auto& /*caller*/, const auto& wanted, const auto& call) {
        api_.ApplyConfig(
            wanted.prune(), wanted.dry_run(),
            [call](const absl::StatusOr<agent::ApplyReport>& report) {
              if (!report.ok()) return call->Refuse(report.status());
              call->Answer(ToProto(*report));
            });
      });
}

}  // namespace apm::control
