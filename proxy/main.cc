// apm-proxy: moves clients' bytes to workers and back.
//
//   apm-proxy --keeper-fd 3
//
// Started by apm-keeper only. Everything it works with comes over the
// descriptor: see agent_link.h. It ends when the keeper has gone.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/log/log.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"
#include "proxy/agent_link.h"
#include "proxy/net/shard.h"
#include "proxy/sandbox.h"

namespace apm {
namespace {

constexpr int kUsageError = 2;

absl::Status RunProxy(UniqueFd keeper) {
  signal(SIGPIPE, SIG_IGN);
  // Ctrl-C at a terminal is meant for the keeper, which drains us first.
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  proxy::TouchLazyThings();
  APM_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  net::Shard shard(*loop);
  APM_ASSIGN_OR_RETURN(const proxy::Identity identity, proxy::DropPrivileges());
  APM_RETURN_IF_ERROR(proxy::CloseSandbox());
  if (!identity.warning.empty()) log::Warning("%s", identity.warning);

  proxy::AgentLink link(*loop, shard, identity.uid, identity.warning);
  shard.ReportTo(link);
  APM_RETURN_IF_ERROR(link.Start(std::move(keeper), [&loop] {
    log::Info("the keeper has gone");
    loop->Stop();
  }));
  loop->Run();
  return absl::OkStatus();
}

// The descriptor of "--keeper-fd N", or -1.
int ReadArguments(int argc, char** argv) {
  if (argc != 3 || std::string_view(argv[1]) != "--keeper-fd") return -1;
  const std::string_view text = argv[2];
  int fd = -1;
  const auto parsed =
      std::from_chars(text.data(), text.data() + text.size(), fd);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return -1;
  }
  return fcntl(fd, F_GETFD) < 0 ? -1 : fd;
}

}  // namespace
}  // namespace apm

int main(int argc, char** argv) {
  apm::log::OpenFd(2, "apm-proxy", apm::log::Level::kInfo);
  const int fd = apm::ReadArguments(argc, argv);
  if (fd < 0) {
    fprintf(stderr,
            "usage: apm-proxy --keeper-fd FD\n"
            "FD is an open channel to apm-keeper, which starts this program\n");
    return apm::kUsageError;
  }
  const absl::Status status = apm::RunProxy(apm::UniqueFd(fd));
  if (!status.ok()) {
    apm::log::Error("%s", status.ToString());
    return 1;
  }
  return 0;
}
