// apmctl start, stop, restart, reload and delete, of one worker or of several:
// the agent is asked about all of them at once, or a hundred that take a second
// each would outlast the time limit. What it says is told in the order of the
// names.

#include <stdio.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/notices.h"
#include "ctl/printable.h"
#include "ctl/worker_text.h"

namespace apm::ctl {
namespace {

// What has been done so far, for people at once and for JSON at the end.
class Report {
 public:
  explicit Report(const Globals& globals) : globals_(globals) {}

  void Done(const v1::Worker& worker) {
    workers_.push_back(worker);
    if (globals_.output == Output::kTable) {
      fputs(WorkerLine(worker, globals_.colors).c_str(), stdout);
    }
    ReportWarnings(worker);
  }

  void Deleted(const std::string& name,
               const v1::DeleteWorkerResponse& response) {
    deleted_.push_back(name);
    survivors_.insert(survivors_.end(), response.survivors().begin(),
                      response.survivors().end());
    if (globals_.output != Output::kTable) return;
    printf("%s: deleted\n", name.c_str());
    for (const std::string& survivor : response.survivors()) {
      printf("%s did not stop and was killed\n", Printable(survivor).c_str());
    }
  }

  void PrintJson(Verb verb) const {
    if (globals_.output != Output::kJson) return;
    fputs((verb == Verb::kDelete ? DeletedJson(deleted_, survivors_)
                                 : WorkersJson(workers_))
              .c_str(),
          stdout);
  }

 private:
  const Globals& globals_;
  std::vector<v1::Worker> workers_;
  std::vector<std::string> deleted_;
  std::vector<std::string> survivors_;
};

using Answer = std::variant<v1::Worker, v1::DeleteWorkerResponse>;

// Any thread.
absl::StatusOr<Answer> Ask(Client& client, const OperateCommand& command,
                           const std::string& name) {
  switch (command.verb) {
    case Verb::kStart:
      return client.Start(name, command.no_wait);
    case Verb::kStop:
      return client.Stop(name, command.no_wait);
    case Verb::kRestart:
      return client.Restart(name, command.no_wait);
    case Verb::kReload:
      return client.Reload(name, command.no_wait);
    case Verb::kDelete:
      return client.Delete(name);
  }
  return absl::InternalError("not a verb");
}

// Asks about all names, `kAtOnce` at a time.
class Questions {
 public:
  Questions(Client& client, const OperateCommand& command)
      : client_(client), command_(command), answers_(command.names.size()) {
    for (size_t i = 0; i < std::min(kAtOnce, answers_.size()); ++i) {
      threads_.emplace_back([this] { AskOneByOne(); });
    }
  }

  // Waits for it. Once for each name.
  absl::StatusOr<Answer> TakeAnswer(size_t index) {
    return answers_[index].get_future().get();
  }

 private:
  // The agent takes twice as many of one connection.
  static constexpr size_t kAtOnce = 32;

  void AskOneByOne() {
    for (size_t i = next_++; i < answers_.size(); i = next_++) {
      answers_[i].set_value(Ask(client_, command_, command_.names[i]));
    }
  }

  Client& client_;
  const OperateCommand& command_;
  std::atomic<size_t> next_ = 0;
  std::vector<std::promise<absl::StatusOr<Answer>>> answers_;
  std::vector<std::jthread> threads_;  // Last: they use the others.
};

// What has been stopped or deleted stays so; who expects it to come back by
// itself, as the files say, is told.
void HintAtStop(const v1::Worker& worker, const std::string& name) {
  if (!IsChangedByCommand(worker)) return;
  Hint(absl::StrFormat(
      "%s stays stopped, over restarts too, until: apmctl start %s, or apmctl "
      "config apply",
      name, name));
}

std::string HintAtDelete(Client& client, const std::string& name) {
  if (!WantsHints()) return "";  // It costs two calls.
  const auto worker = client.Get(name);
  if (!worker.ok() || worker->source() != "config") return "";
  const auto status = client.GetStatus();
  if (!status.ok() || status->config_files().empty()) return "";
  return absl::StrFormat(
      "%s is still in the configuration (%s): remove it there too, or apmctl "
      "config apply brings it back",
      name, absl::StrJoin(status->config_files(), " "));
}

void Tell(const OperateCommand& command, const std::string& name,
          const Answer& answer, const std::string& delete_hint,
          Report& report) {
  if (const auto* deleted = std::get_if<v1::DeleteWorkerResponse>(&answer)) {
    report.Deleted(name, *deleted);
    if (!delete_hint.empty()) Hint(delete_hint);
    return;
  }
  const v1::Worker& worker = std::get<v1::Worker>(answer);
  report.Done(worker);
  if (command.verb == Verb::kStop) HintAtStop(worker, name);
}

}  // namespace

ExitCode Run(const OperateCommand& command, const Globals& globals) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());

  std::vector<std::string> delete_hints(command.names.size());
  if (command.verb == Verb::kDelete) {  // Later there is nobody to ask about.
    std::ranges::transform(
        command.names, delete_hints.begin(),
        [&](const std::string& name) { return HintAtDelete(**client, name); });
  }

  Report report(globals);
  Questions questions(**client, command);
  size_t done = 0;
  std::optional<ExitCode> first_failure;
  for (size_t i = 0; i < command.names.size(); ++i) {
    const absl::StatusOr<Answer> answer = questions.TakeAnswer(i);
    if (answer.ok()) {
      Tell(command, command.names[i], *answer, delete_hints[i], report);
      ++done;
      continue;
    }
    const ExitCode code = ReportError(answer.status());
    if (!first_failure) first_failure = code;
  }
  report.PrintJson(command.verb);
  if (!first_failure) return ExitCode::kDone;
  return done > 0 ? ExitCode::kPartlyDone : *first_failure;
}

}  // namespace apm::ctl
