#include "agent/control/grpc_status.h"

#include <string>

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

namespace apm::control {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string message(status.message());
  if (message.size() > kMaxMessageBytes) {
    message.resize(kMaxMessageBytes - 3);
    message += "...";
  }
  return {static_cast<grpc::StatusCode>(status.code()), message};
}

}  // namespace apm::control
