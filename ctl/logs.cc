// apmctl logs: what workers have printed, and with -f what they print.
//
// A follower keeps the position of each worker: when the agent is gone and
// back, it goes on from there, without a gap and without a line twice.

#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "base/status/status_macros.h"
#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/log_text.h"
#include "ctl/printable.h"
#include "ctl/stream.h"

namespace apm::ctl {
namespace {

constexpr uint32_t kDefaultLines = 100;
constexpr uint32_t kDefaultLinesBeforeFollowing = 10;
constexpr uint32_t kMaxLines = 10'000;

class Printer {
 public:
  Printer(const LogsCommand& command, const Globals& globals)
      : json_(globals.output == Output::kJson),
        formatter_({.raw = command.raw,
                    .timestamps = command.timestamps,
                    .colors = globals.colors,
                    .to_terminal = isatty(STDOUT_FILENO) != 0,
                    .zone = absl::LocalTimeZone()}) {}

  // `lines` is a list of messages.
  template <typename Lines>
  void Print(const Lines& lines) {
    for (const v1::LogLine& line : lines) formatter_.Widen(line);
    for (const v1::LogLine& line : lines) {
      const std::string text =
          json_ ? LogLineJson(line.worker(), line) : formatter_.Format(line);
      fwrite(text.data(), 1, text.size(), stdout);  // There may be zeros in it.
    }
  }

 private:
  const bool json_;
  LogFormatter formatter_;
};

// The fields that both requests have.
template <typename Request>
Request NewRequest(const LogsCommand& command) {
  Request request;
  request.set_stream(command.stream);
  request.set_matches(command.matches);
  if (command.since) {
    request.set_since_unix_us(absl::ToUnixMicros(*command.since));
  }
  return request;
}

// ---- What there is ----

absl::StatusOr<std::vector<std::string>> NamesOf(Client& client,
                                                 const LogsCommand& command) {
  if (!command.names.empty()) return command.names;
  APM_ASSIGN_OR_RETURN(const v1::ListWorkersResponse workers, client.List());
  std::vector<std::string> names;
  for (const v1::Worker& worker : workers.workers()) {
    names.push_back(worker.name());
  }
  return names;
}

// The last lines of each worker, in the order of time.
absl::StatusOr<std::vector<v1::LogLine>> ReadLines(Client& client,
                                                   const LogsCommand& command) {
  auto request = NewRequest<v1::ReadLogRequest>(command);
  request.set_lines(
      command.lines.value_or(command.since ? kMaxLines : kDefaultLines));
  std::vector<v1::LogLine> lines;
  APM_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                       NamesOf(client, command));
  for (const std::string& name : names) {
    request.set_name(name);
    APM_ASSIGN_OR_RETURN(const v1::ReadLogResponse log,
                         client.ReadLog(request));
    lines.insert(lines.end(), log.lines().begin(), log.lines().end());
  }
  std::ranges::stable_sort(lines, {}, &v1::LogLine::time_unix_us);
  return lines;
}

ExitCode ReadLogs(const LogsCommand& command, const Globals& globals) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  const auto lines = ReadLines(**client, command);
  if (!lines.ok()) return ReportError(lines.status());
  Printer(command, globals).Print(*lines);
  return ExitCode::kDone;
}

// ---- What comes ----

class LogFollowing {
 public:
  LogFollowing(const LogsCommand& command, const Globals& globals)
      : printer_(command, globals),
        follower_(globals),
        started_(absl::Now()),
        request_(NewRequest<v1::FollowLogRequest>(command)) {
    request_.mutable_names()->Assign(command.names.begin(),
                                     command.names.end());
    request_.set_lines(command.lines.value_or(
        command.since ? kMaxLines : kDefaultLinesBeforeFollowing));
  }

  absl::Status Run() {
    return follower_.Follow<v1::FollowLogResponse>(
        [this](Client& client) { return client.FollowLog(Request()); },
        [this](const v1::FollowLogResponse& message) { Take(message); });
  }

 private:
  v1::FollowLogRequest Request() const {
    v1::FollowLogRequest request = request_;
    for (const auto& [worker, position] : positions_) {
      v1::LogPosition& after = *request.add_after();
      after.set_worker(worker);
      after.set_position(position);
    }
    return request;
  }

  void Take(const v1::FollowLogResponse& message) {
    for (const std::string& worker : message.gaps()) {
      Say(absl::StrCat("lines of '", worker,
                       "' are missing: their file has been removed"));
    }
    printer_.Print(message.lines());
    if (message.missed() > 0) {
      Say(absl::StrCat(message.missed(),
                       " lines are missing: they came faster than they were "
                       "read, and their files have been removed"));
    }
    for (const v1::LogPosition& position : message.positions()) {
      positions_[position.worker()] = position.position();
    }
    // After an interruption a worker without a position is a new one: all its
    // lines count.
    request_.set_lines(kMaxLines);
    request_.set_since_unix_us(absl::ToUnixMicros(started_));
  }

  static void Say(const std::string& text) {
    fprintf(stderr, "apmctl: %s\n", Printable(text).c_str());
  }

  Printer printer_;
  StreamFollower follower_;
  const absl::Time started_;
  v1::FollowLogRequest request_;                  // But for the positions.
  std::map<std::string, std::string> positions_;  // By worker.
};

ExitCode FollowLogs(const LogsCommand& command, const Globals& globals) {
  const absl::Status end = LogFollowing(command, globals).Run();
  // Whoever read our output has had enough.
  if (absl::IsCancelled(end)) return ExitCode::kDone;
  return ReportError(end);
}

}  // namespace

ExitCode Run(const LogsCommand& command, const Globals& globals) {
  return command.follow ? FollowLogs(command, globals)
                        : ReadLogs(command, globals);
}

}  // namespace apm::ctl
