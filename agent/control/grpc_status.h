// absl::Status as gRPC sends it: the codes are the same numbers.

#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

namespace apm::control {

// A message is a header of the response, and many clients refuse headers of
// more than 8 KiB: a longer one is cut.
inline constexpr size_t kMaxMessageBytes = 4'096;

grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace apm::control
