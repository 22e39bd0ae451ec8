// The only file that knows CLI11, which throws and is slow to compile.

#include "ctl/command_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "base/version.h"
#include "ctl/exit_code.h"

#include <CLI/CLI.hpp>

namespace apm::ctl {
namespace {

constexpr size_t kMaxLogLines = 10'000;
constexpr size_t kMaxEvents = 10'000;

// "500ms", "10s", "5m", "2h".
CLI::Option* AddDuration(CLI::App& app, const std::string& flags,
                         absl::Duration& value, const std::string& help) {
  return app
      .add_option_function<std::string>(
          flags,
          [&value, flags](const std::string& text) {
            if (!absl::ParseDuration(text, &value) ||
                value < absl::ZeroDuration()) {
              throw CLI::ValidationError(
                  flags, "'" + text +
                             "' is not a duration; write 500ms, 10s "
                             "or 5m");
            }
          },
          help)
      ->type_name("TIME")
      ->take_last();
}

// "10m", or a time of RFC 3339.
absl::Time ReadSince(const std::string& text) {
  absl::Duration ago;
  if (absl::ParseDuration(text, &ago) && ago >= absl::ZeroDuration()) {
    return absl::Now() - ago;
  }
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, nullptr) &&
      time >= absl::UnixEpoch()) {
    return time;
  }
  throw CLI::ValidationError(
      "--since",
      "'" + text + "' is no time; write 10m, 2h or 2026-11-21T12:00:00Z");
}

// "EPOCH:SEQUENCE", as --output json prints it.
EventPlace ReadPlace(const std::string& text) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  EventPlace place;
  if (!absl::SimpleAtoi(parts.first, &place.epoch) ||
      !absl::SimpleAtoi(parts.second, &place.sequence)) {
    throw CLI::ValidationError(
        "--after",
        "'" + text + "' is not EPOCH:SEQUENCE, the cursor of an event");
  }
  return place;
}

bool WantsColors(bool no_color) {
  const char* const forbidden = getenv("NO_COLOR");  // no-color.org
  const char* const terminal = getenv("TERM");
  return !no_color && (forbidden == nullptr || *forbidden == '\0') &&
         (terminal == nullptr || std::string_view(terminal) != "dumb") &&
         isatty(STDOUT_FILENO) != 0;
}

// CLI11's own check prints the range of a double.
std::string IsPositive(const std::string& number) {
  if (!number.starts_with('-') && number != "0") return "";
  return "'" + number + "' is less than 1";
}

// CLI11 complains that a command is missing before it looks at what stands in
// its place.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  if (std::string_view(error.what()) != "A subcommand is required") {
    return error.what();
  }
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  if (unknown.empty()) return "a command is missing";
  return (unknown.front().starts_with('-') ? "no option '" : "no command '") +
         unknown.front() + "'";
}

// Builds the grammar around one CommandLine, which parsing fills.
class Grammar {
 public:
  explicit Grammar(CommandLine& line) : globals_(line.globals), line_(line) {
    app_.require_subcommand(1);
    app_.fallthrough();  // Global options may follow the command.
    app_.get_formatter()->column_width(34);
    app_.footer(
        "A command waits up to a second for an agent that is being restarted;\n"
        "status and ping say at once that there is none. Exit codes: 0 done,\n"
        "1 failed, 2 wrong usage, 3 no such worker, 4 no agent, 5 not "
        "allowed,\n"
        "6 no answer in time, 7 done for some of several names.");
    AddGlobals();
    AddPing();
    Add<StatusCommand>(app_, "status", "What runs, since when, and its files");
    AddRun();
    Add<ListCommand>(app_, "list", "Every worker and its instances")
        .alias("ls");
    AddInfo();
    AddLogs();
    AddEvents();
    AddOperate(Verb::kStart, "start", "Start workers that are stopped");
    AddOperate(Verb::kStop, "stop", "Stop workers");
    AddOperate(Verb::kRestart, "restart", "Stop and start workers");
    AddOperate(Verb::kReload, "reload",
               "Replace instances one by one, without losing a request");
    AddScale();
    AddOperate(Verb::kDelete, "delete", "Stop workers and forget them");
    AddConfig();
    AddUpgrade();
    Add<SaveCommand>(app_, "save", "Nothing to do: every change is saved");
    Add<ResurrectCommand>(app_, "resurrect",
                          "Nothing to do: workers come back by themselves");
    Add<KillCommand>(app_, "kill", "Stop every worker and the agent itself");
    Add<VersionCommand>(app_, "version", "The version of apmctl");
  }

  CLI::App& app() { return app_; }

  // Adds what CLI11 has no place for, when it has parsed; `rest` is what
  // followed "--". Throws like CLI11 does.
  void Finish(const std::vector<std::string>& rest) {
    globals_.output = json_ == "json" ? Output::kJson : Output::kTable;
    globals_.colors = WantsColors(no_color_);
    auto* const run = std::get_if<RunCommand>(&line_.command);
    if (run == nullptr) {
      if (rest.empty()) return;
      throw CLI::ExtrasError(rest);
    }
    run->arguments.insert(run->arguments.end(), rest.begin(), rest.end());
    if (!run->program.empty()) return;
    if (run->arguments.empty()) throw CLI::RequiredError("PROGRAM");
    run->program = run->arguments.front();
    run->arguments.erase(run->arguments.begin());
  }

 private:
  template <typename C>
  CLI::App& Add(CLI::App& parent, const std::string& name,
                const std::string& help) {
    CLI::App& sub = *parent.add_subcommand(name, help);
    sub.callback([this] { line_.command = C(); });
    return sub;
  }

  // A command with options, which are filled into `command` by parsing.
  template <typename C>
  CLI::App& Add(const std::string& name, const std::string& help, C& command) {
    CLI::App& sub = *app_.add_subcommand(name, help);
    sub.callback([this, &command] { line_.command = command; });
    return sub;
  }

  void AddGlobals() {
    app_.add_option("--socket", globals_.socket,
                    "The agent's socket: @NAME or PATH")
        ->envname("APM_SOCKET")
        ->take_last()
        ->capture_default_str();
    AddDuration(app_, "--timeout", globals_.timeout,
                "How long to wait for an answer [30s]");
    app_.add_option("-o,--output", json_, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->take_last()
        ->type_name("FORMAT");
    app_.set_version_flag("--version", std::string("apmctl ") + kVersion,
                          "Print the version");
    app_.add_flag("--no-color", no_color_, "No colors, as with NO_COLOR set");
    app_.add_option("--daemon-user", globals_.daemon_user,
                    "Trust an agent that this user runs")
        ->envname("APM_DAEMON_USER")
        ->take_last()
        ->type_name("NAME");
  }

  void AddPing() {
    CLI::App& sub = Add("ping", "Whether the agent answers", ping_);
    AddDuration(sub, "--wait", ping_.wait, "Wait for the agent to appear");
  }

  void AddInfo() {
    CLI::App& sub = Add("info", "Everything about one worker", info_);
    sub.add_option("NAME", info_.name, "web")->required();
  }

  void AddLogs() {
    CLI::App& sub = Add("logs", "What workers have printed", logs_);
    sub.footer(
        "  apmctl logs -f                       of all workers, as it comes\n"
        "  apmctl logs web api --since 10m --grep 'timeout|refused'");
    sub.add_option("NAME", logs_.names,
                   "web, or web/0 for one instance [every worker]");
    sub.add_flag("-f,--follow", logs_.follow,
                 "Go on with what they print, over restarts of the agent");
    sub.add_option("-n,--lines", logs_.lines,
                   "How many of each [100; with -f 10; with --since all]")
        ->check(CLI::Range(size_t{0}, kMaxLogLines));
    sub.add_option_function<std::string>(
           "--since",
           [this](const std::string& text) { logs_.since = ReadSince(text); },
           "Only from then on: 10m, or 2026-11-21T12:00:00Z")
        ->take_last()
        ->type_name("TIME");
    sub.add_option("--grep", logs_.matches,
                   "Only lines where this regular expression (RE2) matches")
        ->type_name("RE");
    const auto add_stream = [&](const std::string& name) {
      return sub.add_flag_callback(
          "--" + name, [this, name] { logs_.stream = name; },
          "Only std" + name);
    };
    CLI::Option* const out = add_stream("out");
    CLI::Option* const err = add_stream("err")->excludes(out);
    sub.add_option("--stream", logs_.stream, "out or err")
        ->check(CLI::IsMember({"out", "err"}))
        ->excludes(out)
        ->excludes(err);
    sub.add_flag("-t,--timestamps", logs_.timestamps, "When it was printed");
    CLI::Option* const raw =
        sub.add_flag("--raw", logs_.raw, "The text without its worker");
    sub.add_flag_callback(
           "--json", [this] { json_ = "json"; }, "As --output json")
        ->excludes(raw);
    sub.callback([this] {
      if (logs_.lines == 0U && !logs_.follow) {
        throw CLI::ValidationError("--lines", "0 makes sense with --follow");
      }
      line_.command = logs_;
    });
  }

  void AddEvents() {
    CLI::App& sub = Add("events", "What has happened on this node", events_);
    sub.footer(
        "To go on where a listing ended, take the cursor of its last event:\n"
        "  apmctl events --output json\n"
        "  apmctl events --after 1795262401000000:42");
    sub.add_option("NAME", events_.names,
                   "Only of these: web, or web/0 for one instance");
    sub.add_flag("-f,--follow", events_.follow,
                 "Go on with what happens, over restarts of the agent");
    sub.add_option_function<std::string>(
           "--after",
           [this](const std::string& text) { events_.after = ReadPlace(text); },
           "Only what came after this cursor")
        ->take_last()
        ->type_name("EPOCH:SEQ");
    sub.add_option("-n,--lines", events_.count,
                   "How many: the last, or with --after the first [50, all]")
        ->check(CLI::Range(size_t{0}, kMaxEvents));
    sub.callback([this] {
      if (events_.follow && events_.after && events_.count) {
        throw CLI::ValidationError(
            "--lines", "not with --follow and --after together: all is shown");
      }
      line_.command = events_;
    });
  }

  void AddRun() {
    CLI::App& sub = Add("run", "Add a worker and start it", run_);
    sub.footer(
        "What follows -- is for the program, dashes and all:\n"
        "  apmctl run ./server.py --server 127.0.0.1:8080 -- --verbose");
    sub.add_option("PROGRAM", run_.program,
                   "A program, or a .js .py .php .pl .lua .rb .sh file");
    sub.add_option("ARGUMENTS", run_.arguments, "For the program");
    sub.add_option("--name", run_.name, "The worker's name [the program's]");
    sub.add_option("--server,--listen", run_.servers,
                   "Where clients reach it: host:port, a path, a URL")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("ADDRESS");
    sub.add_option("-i,--instances", run_.instances, "How many processes")
        ->check(IsPositive)
        ->capture_default_str();
    sub.add_option_function<std::vector<std::string>>(
           "--env",
           [this](const std::vector<std::string>& pairs) {
             for (const std::string& pair : pairs) AddVariable(pair);
           },
           "A variable for it: NAME=VALUE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("NAME=VALUE");
    sub.add_option("--restart", run_.restart, "always, on-failure or never")
        ->check(CLI::IsMember({"always", "on-failure", "never"}));
    sub.add_option("--cwd", run_.folder, "Its working directory")
        ->type_name("FOLDER");
    sub.add_flag("--trust-proxy", run_.trust_proxy,
                 "Take the client's address from the proxy in front");
    sub.add_flag("--access-log", run_.access_log,
                 "Log its requests to a file: info names it");
    AddDuration(sub, "--stop-timeout", run_.stop_timeout,
                "How long it may take to stop [10s]");
    sub.add_flag("--no-wait", run_.no_wait, "Do not wait until it is ready");
  }

  void AddVariable(const std::string& pair) {
    const size_t equals = pair.find('=');
    if (equals == 0 || equals == std::string::npos) {
      throw CLI::ValidationError("--env", "'" + pair + "' is not NAME=VALUE");
    }
    run_.environment.emplace_back(pair.substr(0, equals),
                                  pair.substr(equals + 1));
  }

  void AddOperate(Verb verb, const std::string& name, const std::string& help) {
    CLI::App& sub = *app_.add_subcommand(name, help);
    sub.add_option("NAME", operate_.names, "web, or web/0 for one instance")
        ->required();
    if (verb != Verb::kDelete) {
      sub.add_flag("--no-wait", operate_.no_wait,
                   "Answer at once, not when it is done");
    }
    sub.callback([this, verb] {
      operate_.verb = verb;
      line_.command = operate_;
    });
  }

  void AddScale() {
    CLI::App& sub = *app_.add_subcommand(
        "scale", "Change how many instances a worker has, under load");
    sub.footer(
        "Examples:\n"
        "  apmctl scale web 4      four of them\n"
        "  apmctl scale web +2     two more; -1 is one fewer\n"
        "  apmctl scale web=4      the same as web 4\n"
        "The number is kept over restarts; for a worker of the configuration\n"
        "files until: apmctl config apply");
    sub.add_option("NAME", scale_.name, "web, or web=4")->required();
    sub.add_option("NUMBER", scale_number_, "4, +2 or -1");
    sub.add_flag("--no-wait", scale_.no_wait,
                 "Answer at once, not when it is done");
    sub.callback([this] {
      ReadScale();
      line_.command = scale_;
    });
  }

  void ReadScale() {
    const size_t equals = scale_.name.find('=');
    if (scale_number_.empty() && equals != std::string::npos) {
      scale_number_ = scale_.name.substr(equals + 1);
      scale_.name.resize(equals);
    }
    if (scale_number_.empty()) throw CLI::RequiredError("NUMBER");
    scale_.relative =
        scale_number_.starts_with('+') || scale_number_.starts_with('-');
    if (scale_.name.empty() ||
        !absl::SimpleAtoi(scale_number_, &scale_.number)) {
      throw CLI::ValidationError(
          "NUMBER", "'" + scale_number_ +
                        "' is not a number of instances; write 4, +2 or -1");
    }
  }

  void AddConfig() {
    CLI::App& config = *app_.add_subcommand("config", "Configuration files");
    config.require_subcommand(1);
    config.fallthrough();
    CLI::App& check =
        *config.add_subcommand("check", "Say everything that is wrong in them");
    check.add_option("FILE", config_check_.files,
                     "Files to check [those the agent would read]");
    check.add_flag("--strict", config_check_.strict, "Warnings are errors");
    check.callback([this] { line_.command = config_check_; });
    CLI::App& apply = *config.add_subcommand(
        "apply", "Read the files again and make what runs agree with them");
    apply.footer(
        "Examples:\n"
        "  apmctl config apply --dry-run    what would be done\n"
        "  apmctl config apply --prune      and delete what is gone\n"
        "Nothing is changed if a file has errors. Workers that the files do\n"
        "not change are not touched, nor are those of: apmctl run. What stop,\n"
        "scale and delete did to workers of the files is undone.");
    apply.add_flag("--prune", config_apply_.prune,
                   "Delete workers that are gone from the files");
    apply.add_flag("--dry-run", config_apply_.dry_run,
                   "Only say what would be done");
    apply.callback([this] { line_.command = config_apply_; });
  }

  void AddUpgrade() {
    CLI::App& sub = Add(
        "upgrade", "Replace a running program by the installed one", upgrade_);
    sub.footer(
        "Example:\n"
        "  apmctl upgrade --keeper    in place: workers and connections go on");
    sub.add_flag("--keeper", upgrade_.keeper, "The keeper")->required();
  }

  CLI::App app_{"Controls the APM node agent.", "apmctl"};
  Globals& globals_;
  CommandLine& line_;
  std::string json_;
  bool no_color_ = false;
  PingCommand ping_;
  InfoCommand info_;
  LogsCommand logs_;
  EventsCommand events_;
  RunCommand run_;
  OperateCommand operate_;
  ScaleCommand scale_;
  std::string scale_number_;
  ConfigCheckCommand config_check_;
  ConfigApplyCommand config_apply_;
  UpgradeCommand upgrade_;
};

}  // namespace

std::variant<CommandLine, ExitCode> ParseCommandLine(int argc,
                                                     char const* const* argv) {
  // CLI11 would take the options after "--" for its own.
  char const* const* const end = argv + argc;
  char const* const* const dashes =
      std::find(argv, end, std::string_view("--"));
  const std::vector<std::string> rest(dashes == end ? end : dashes + 1, end);

  CommandLine line;
  Grammar grammar(line);
  try {
    grammar.app().parse(static_cast<int>(dashes - argv), argv);
    grammar.Finish(rest);
    return line;
  } catch (const CLI::CallForHelp&) {
    fputs(grammar.app().help().c_str(), stdout);
    return ExitCode::kDone;
  } catch (const CLI::CallForVersion& version) {
    puts(version.what());
    return ExitCode::kDone;
  } catch (const CLI::ParseError& error) {
    const auto chosen = grammar.app().get_subcommands();
    fprintf(stderr, "apmctl: %s; see: apmctl %s%s--help\n",
            Explain(grammar.app(), error).c_str(),
            chosen.empty() ? "" : chosen.front()->get_name().c_str(),
            chosen.empty() ? "" : " ");
    return ExitCode::kUsage;
  }
}

}  // namespace apm::ctl
