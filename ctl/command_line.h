// The command line as values: what each command is told, and what all are.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <absl/time/time.h>

#include "ctl/exit_code.h"

namespace apm::ctl {

inline constexpr char kDefaultSocket[] = "@apm";

enum class Output : uint8_t { kTable, kJson };

struct Globals {
  std::string socket = kDefaultSocket;
  absl::Duration timeout = absl::Seconds(30);
  Output output = Output::kTable;
  bool colors = false;      // Stdout is a terminal, and nobody objects.
  std::string daemon_user;  // Whose agent to trust too: a name or a uid.
};

struct PingCommand {
  absl::Duration wait;  // How long an agent may take to appear.
};
struct StatusCommand {};
struct ListCommand {};
struct InfoCommand {
  std::string name;
};
struct LogsCommand {
  std::vector<std::string> names;  // Empty: every worker.
  bool follow = false;
  std::optional<uint32_t> lines;  // Of each worker, from before.
  std::optional<absl::Time> since;
  std::string stream;   // "", "out", "err"
  std::string matches;  // A regular expression; empty: every line.
  bool timestamps = false;
  bool raw = false;
};
// A place between two events: "EPOCH:SEQUENCE".
struct EventPlace {
  uint64_t epoch = 0;
  uint64_t sequence = 0;
};
struct EventsCommand {
  std::vector<std::string> names;  // Empty: everything.
  bool follow = false;
  std::optional<EventPlace> after;
  std::optional<uint32_t> count;
};
struct RunCommand {
  std::string program;
  std::vector<std::string> arguments;
  std::string name;  // Empty: after the program.
  std::vector<std::string> servers;
  uint32_t instances = 1;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string restart;
  std::string folder;  // Empty: the current one.
  bool trust_proxy = false;
  bool access_log = false;
  absl::Duration stop_timeout;  // Zero: the agent's default.
  bool no_wait = false;
};

enum class Verb : uint8_t { kStart, kStop, kRestart, kReload, kDelete };
struct OperateCommand {
  Verb verb = Verb::kStart;
  std::vector<std::string> names;
  bool no_wait = false;
};

struct ScaleCommand {
  std::string name;
  int64_t number = 0;
  bool relative = false;  // `number` more, or fewer, than there are.
  bool no_wait = false;
};

struct ConfigApplyCommand {
  bool prune = false;
  bool dry_run = false;
};
struct ConfigCheckCommand {
  std::vector<std::string> files;  // Empty: those that an agent would read.
  bool strict = false;
};
struct UpgradeCommand {
  bool keeper = false;
};
struct SaveCommand {};
struct ResurrectCommand {};
struct KillCommand {};
struct VersionCommand {};

using Command =
    std::variant<PingCommand, StatusCommand, ListCommand, InfoCommand,
                 LogsCommand, EventsCommand, RunCommand, OperateCommand,
                 ScaleCommand, ConfigCheckCommand, ConfigApplyCommand,
                 UpgradeCommand, SaveCommand, ResurrectCommand, KillCommand,
                 VersionCommand>;

struct CommandLine {
  Globals globals;
  Command command;
};

// Reads argv and the environment (APM_SOCKET, APM_DAEMON_USER, NO_COLOR). If
// there is nothing to do, prints help (kDone) or what is wrong (kUsage).
std::variant<CommandLine, ExitCode> ParseCommandLine(int argc,
                                                     char const* const* argv);

}  // namespace apm::ctl
