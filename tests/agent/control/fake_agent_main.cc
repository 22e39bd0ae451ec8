// The real control server in front of the fake agent, for the tests of apmctl:
//
//   fake_agent SOCKET LOG_FILE OWNER_UID [GID:GROUP]...
//
// LOG_FILE is web's log, in a folder of its own; what comes on stdin is printed
// by web/0.
//
// Some events have happened; with FAKE_EVENTS=EPOCH:COUNT others: of that
// epoch, with the texts "event 1" .. "event COUNT", as if COUNT of them had
// been kept for a restarted agent.
//
// Prints "ready" when it accepts. Ends with status 0 after Shutdown or SIGTERM,
// with status 1 and the reason if the socket cannot be had.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "agent/control/control_server.h"
#include "agent/events/event_log.h"
#include "agent/logs/log_store.h"
#include "base/os/event_loop.h"
#include "base/os/signal_fd.h"
#include "base/os/unique_fd.h"
#include "tests/agent/control/fake_agent_api.h"

namespace {

using apm::agent::ApplyReport;
using apm::agent::ConfigChange;
using apm::control::ControlOptions;
using apm::control::ControlServer;
using apm::events::Event;
using apm::events::EventLog;
using apm::events::EventRing;
using apm::events::Exit;
using apm::events::Severity;
using apm::testing::FakeAgentApi;
namespace type = apm::events::type;

void AddWorkers(FakeAgentApi& api) {
  api.Add("broken", {}, 1);
  api.Add("job", {}, 1);
  api.Add("stuck", {}, 1);
  api.Add("web", {"http://127.0.0.1:3000", "unix:/run/web.sock"}, 2);

  apm::agent::WorkerView& job = api.workers["job"];
  job.state.state = apm::supervisor::WorkerState::kCrashloop;
  job.problem = "exited with status 1, 10 times in 5m";
  job.usage[0] = {};
  apm::supervisor::InstanceSnapshot& instance = job.state.instances[0];
  instance.state = apm::supervisor::InstanceState::kCrashloop;
  instance.pid = 0;
  instance.uptime = absl::ZeroDuration();
  instance.restarts = 10;
  instance.next_retry_at = absl::FromUnixSeconds(1'800'000'000);
  apm::supervisor::ProcessExit& exit = instance.last_exit.emplace();
  exit.code = 1;
  exit.max_rss_kb = 1000;
  exit.unix_ms = 1'700'000'000'000;

  api.workers["web"].source = apm::agent::WorkerSource::kConfig;
  api.workers["web"].counters.requests = 42;
  api.workers["web"].counters.responses_by_class[1] = 40;
  api.workers["web"].config.env["GREETING"] = "hello";
}

// What applying the configuration does; nothing, once it is done. Of two
// workers it depends whether they are there: "broken" fails, and "invalid" is
// an error in the files.
absl::StatusOr<ApplyReport> Apply(const FakeAgentApi& api, bool prune,
                                  bool dry_run, bool& is_applied) {
  using Action = ConfigChange::Action;
  if (api.workers.contains("invalid")) {
    return absl::FailedPreconditionError(
        "/etc/apm.conf:3:5: error: 'exec' is missing");
  }
  ApplyReport report;
  if (is_applied) return report;
  report.changes = {
      {.worker = "api", .action = Action::kCreate, .fields = {}, .error = ""},
      {.worker = "old",
       .action = prune ? Action::kDelete : Action::kOrphan,
       .fields = {},
       .error = ""},
      {.worker = "web",
       .action = Action::kRolling,
       .fields = {"exec '/a' -> '/b'", "instances 2 -> 4"},
       .error = ""}};
  if (api.workers.contains("broken")) {
    report.changes.push_back({.worker = "broken",
                              .action = Action::kUpdate,
                              .fields = {"access_log off -> on"},
                              .error = dry_run ? "" : "the disk is full"});
  }
  report.warnings = {"/etc/apm.conf:9:1: 'log' is on twice"};
  is_applied = !dry_run;
  return report;
}

void AddEvents(EventLog& log) {
  Event event{.time = absl::FromUnixMicros(1'795'262'401'000'000),
              .type = type::kAgentStarted,
              .text = "version 9.8.7"};
  log.Append(event);
  event = {.time = event.time,
           .type = type::kWorkerState,
           .worker = "web",
           .instance = 1,
           .generation = 3,
           .pid = 401,
           .from_state = "starting",
           .to_state = "ready"};
  log.Append(event);
  event = {.time = event.time,
           .type = type::kWorkerState,
           .severity = Severity::kError,
           .worker = "job",
           .generation = 1,
           .pid = 12,
           .from_state = "ready",
           .to_state = "crashloop",
           .text = "exited with status 1",
           .exit = Exit{.code = 1, .max_rss_bytes = 1'024'000, .cpu_ms = 7}};
  for (int i = 1; i <= 12; ++i) {
    event.stderr_tail.push_back(absl::StrCat("\x1b[31mline ", i));
  }
  log.Append(event);
  log.Append({.time = event.time,
              .type = type::kWorkerScaled,
              .severity = Severity::kWarning,
              .worker = "web",
              .text = "instances 1 -> 2\nforged"});
}

std::unique_ptr<EventLog> MakeEventLog() {
  const char* const wanted = getenv("FAKE_EVENTS");
  if (wanted == nullptr) {
    auto log = std::make_unique<EventLog>(EventRing::Create(7).value());
    AddEvents(*log);
    return log;
  }
  const std::pair<std::string, std::string> parts = absl::StrSplit(wanted, ':');
  auto log = std::make_unique<EventLog>(
      EventRing::Create(static_cast<uint64_t>(atoll(parts.first.c_str())))
          .value());
  for (int i = 1; i <= atoi(parts.second.c_str()); ++i) {
    log->Append({.time = absl::Now(),
                 .type = type::kWorkerReloaded,
                 .worker = "web",
                 .text = absl::StrCat("event ", i)});
  }
  return log;
}

ControlOptions ReadOptions(int argc, char** argv) {
  ControlOptions options;
  options.socket = argv[1];
  options.owner = static_cast<uid_t>(atoi(argv[3]));
  for (int i = 4; i < argc; ++i) {
    const std::string_view group = argv[i];
    options.allow_groups.push_back(
        {.gid = static_cast<gid_t>(atoi(argv[i])),
         .name = std::string(group.substr(group.find(':') + 1))});
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  auto signals = apm::CreateSignalFd({SIGTERM}).value();  // Before any thread.
  auto loop = apm::EventLoop::Create().value();
  FakeAgentApi api;
  api.log_store =
      apm::logs::LogStore::Create(std::filesystem::path(argv[2]).parent_path())
          .value();
  api.log_store->AddStream("web", 0, apm::logs::Stream::kOut,
                           apm::UniqueFd(dup(STDIN_FILENO)));
  api.status.version = "9.8.7";
  api.status.agent_pid = getpid();
  api.status.keeper_pid = getpid();
  api.status.started = absl::Now() - absl::Minutes(5);
  api.status.socket = argv[1];
  api.status.state_dir = "/var/lib/fake";
  api.status.log_file = "-";
  api.status.config_files = {"/etc/apm.conf"};
  api.status.warnings = {"the proxy does not run; it is being restarted"};
  api.status.agent_incarnation = 3;
  api.status.workers = 4;
  api.status.instances = 5;
  api.status.instances_ready = 4;
  AddWorkers(api);
  bool is_applied = false;
  api.apply = [&](bool prune, bool dry_run) {
    return Apply(api, prune, dry_run, is_applied);
  };
  api.upgrade_report = {.keeper_version = "9.8.8",
                        .keeper_pid = 7,
                        .processes_kept = 5,
                        .descriptors_kept = 12};
  api.event_log = MakeEventLog();

  auto server = ControlServer::Create(*loop, api, ReadOptions(argc, argv));
  if (!server.ok()) {
    fprintf(stderr, "fake_agent: %s\n",
            std::string(server.status().message()).c_str());
    return 1;
  }
  const auto stop = [&] {
    (*server)->Stop(absl::Seconds(1));
    loop->Stop();
  };
  api.on_shutdown = [&] { loop->RunAfter(absl::ZeroDuration(), stop); };
  if (!loop->Add(signals.get(), EPOLLIN, [&](uint32_t) { stop(); }).ok() ||
      !(*server)->Start().ok()) {
    return 1;
  }
  puts("ready");
  fflush(stdout);
  loop->Run();
  return 0;
}
