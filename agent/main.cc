// apm-agent: reads the command line and the configuration, builds the Agent,
// runs its loop. Started by apm-keeper; by hand only to check configuration.

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/agent.h"
#include "agent/config/disk_source.h"
#include "agent/config/load.h"
#include "agent/options.h"
#include "agent/paths.h"
#include "agent/user_database.h"
#include "agent/worker_environment.h"
#include "base/log/log.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"
#include "base/version.h"

namespace apm::agent {
namespace {

constexpr int kExitUsage = 2;
constexpr char kDefaultSocket[] = "@apm";

config::Config LoadConfig(const std::vector<std::string>& files) {
  config::DiskSource disk(geteuid());
  return config::Load(files, disk, config::ProcessSurroundings());
}

int CheckConfig(const Options& options) {
  const Identity user = DescribeUid(geteuid(), getegid());
  const absl::StatusOr<std::vector<std::string>> files =
      ConfigFiles(options, HomeFolder(user.home));
  if (!files.ok()) {
    fprintf(stderr, "apm-agent: %s\n",
            std::string(files.status().message()).c_str());
    return 1;
  }
  if (files->empty()) {
    fprintf(stderr, "apm-agent: no configuration file; name one\n");
    return kExitUsage;
  }
  const config::Config config = LoadConfig(*files);
  fputs(config::FormatDiagnostics(config.diagnostics).c_str(), stderr);
  const bool failed = config::HasErrors(config.diagnostics) ||
                      (options.strict && !config.diagnostics.empty());
  printf("%zu workers, %zu disabled, %zu problems\n", config.workers.size(),
         config.disabled.size(), config.diagnostics.size());
  return failed ? 1 : 0;
}

// One warning a problem, the first line of its text.
void CollectDiagnostics(const config::Config& config,
                        std::vector<std::string>& warnings) {
  for (const config::Diagnostic& diagnostic : config.diagnostics) {
    const std::string text = config::FormatDiagnostic(diagnostic);
    if (diagnostic.severity == config::Severity::kError) {
      log::Error("%s", text);
    } else {
      log::Warning("%s", text);
    }
    warnings.push_back(text.substr(0, text.find('\n')));
  }
}

absl::StatusOr<Setup> Prepare(const Options& options) {
  Setup setup;
  setup.daemon_user = DescribeUid(geteuid(), getegid());
  setup.log_file = options.log_file;
  const std::string home = HomeFolder(setup.daemon_user.home);
  APM_ASSIGN_OR_RETURN(setup.config_files, ConfigFiles(options, home));
  setup.load_config = [files = setup.config_files,
                       surroundings = config::ProcessSurroundings()] {
    config::DiskSource disk(geteuid());
    return config::Load(files, disk, surroundings);
  };
  setup.config = setup.load_config();
  log::SetLevel(setup.config.daemon.log_level);
  CollectDiagnostics(setup.config, setup.warnings);

  setup.socket = options.socket;
  if (setup.socket.empty()) setup.socket = setup.config.daemon.socket;
  if (setup.socket.empty()) setup.socket = kDefaultSocket;
  setup.state_dir = StateDir(options, setup.config.daemon.state_dir, home);
  APM_RETURN_IF_ERROR(MakePrivateFolder(setup.state_dir));
  setup.log_dir = LogDir(options, setup.state_dir);

  for (const std::string& name : setup.config.daemon.allow_groups) {
    const absl::StatusOr<gid_t> gid = FindGroup(name);
    if (gid.ok()) {
      setup.allow_groups.push_back({*gid, name});
      continue;
    }
    setup.warnings.push_back("allow_group: " +
                             std::string(gid.status().message()));
    log::Warning("%s", setup.warnings.back());
  }
  APM_ASSIGN_OR_RETURN(const std::string folder, ProgramFolder());
  setup.environment = CaptureEnvironment(FindConnectors(folder), kVersion);
  return setup;
}

int Fail(const absl::Status& status) {
  log::Error("cannot start: %s", status.message());
  return kExitConfig;
}

int RunAgent(const Options& options) {
  signal(SIGPIPE, SIG_IGN);
  // The keeper ends the agent by a message or by closing the channel; a
  // Ctrl-C in its terminal reaches the whole foreground group.
  signal(SIGINT, SIG_IGN);
  // What the keeper sends after its last word: by then we are on our way out,
  // and what is to be stored is stored first.
  signal(SIGTERM, SIG_IGN);
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create();
  if (!loop.ok()) return Fail(loop.status());
  absl::StatusOr<Setup> setup = Prepare(options);
  if (!setup.ok()) return Fail(setup.status());
  absl::StatusOr<std::unique_ptr<Agent>> agent =
      Agent::Create(**loop, UniqueFd(options.keeper_fd), *std::move(setup));
  if (!agent.ok()) return Fail(agent.status());
  (*loop)->Run();
  return (*agent)->exit_code();
}

}  // namespace
}  // namespace apm::agent

int main(int argc, char** argv) {
  using apm::agent::Options;
  const std::vector<std::string> args(argv + 1, argv + argc);
  const absl::StatusOr<Options> options = apm::agent::ParseOptions(args);
  if (!options.ok()) {
    fprintf(stderr, "apm-agent: %s\n",
            std::string(options.status().message()).c_str());
    return apm::agent::kExitUsage;
  }
  if (options->help) {
    fputs(apm::agent::OptionsHelp(), stdout);
    return 0;
  }
  if (options->version) {
    printf("apm-agent %s\n", apm::kVersion);
    return 0;
  }
  if (options->check_config) return apm::agent::CheckConfig(*options);
  apm::log::Open({.path = options->log_file, .program = "apm-agent"});
  if (options->keeper_fd < 0) {
    fprintf(stderr,
            "apm-agent: started by hand; start apm-keeper instead, it starts "
            "the agent\n");
    return apm::agent::kExitUsage;
  }
  return apm::agent::RunAgent(*options);
}
