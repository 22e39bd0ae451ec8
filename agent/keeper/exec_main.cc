// apm-exec: becomes a worker. Started by apm-keeper alone, with the
// descriptors of exec_protocol.h.

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <string>
#include <utility>

#include <absl/status/statusor.h>

#include "agent/keeper/exec_protocol.h"
#include "agent/keeper/exec_steps.h"
#include "apm/internal/v1/keeper.pb.h"
#include "base/os/channel.h"
#include "base/os/sealed_memfd.h"

namespace apm::keeper {
namespace {

int Main() {
  const absl::StatusOr<std::string> bytes =
      ReadSealedMemfd(kSpecFd, kMaxMessageBytes);
  internal::v1::ExecSpec spec;
  if (!bytes.ok() || !spec.ParseFromString(*bytes) ||
      fcntl(kFailureFd, F_SETFD, FD_CLOEXEC) != 0) {
    fputs("apm-exec is started by apm-keeper and by nobody else\n", stderr);
    return 2;
  }

  StepFailure failure = BecomeWorker(spec, kStdioFd);

  if (failure.detail.size() > kMaxDetailBytes) {
    failure.detail.resize(kMaxDetailBytes);
  }
  internal::v1::SpawnFailed message;
  message.set_step(failure.step);
  message.set_error(failure.error);
  message.set_detail(std::move(failure.detail));
  const std::string packet = message.SerializeAsString();
  [[maybe_unused]] const ssize_t ignored =
      write(kFailureFd, packet.data(), packet.size());
  _exit(127);
}

}  // namespace
}  // namespace apm::keeper

int main() { return apm::keeper::Main(); }
