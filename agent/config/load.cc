// Three passes, the first two per file and per block, so that each can report
// everything it sees: text to directives (parser), directives to fields
// (block_reader), fields to values (worker_fields, daemon_fields). What only
// shows between workers, a name or an address used twice, is judged here.

#include "agent/config/load.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_format.h>

#include "agent/config/block_reader.h"
#include "agent/config/directives.h"
#include "agent/config/findings.h"
#include "agent/config/names.h"
#include "agent/config/parser.h"
#include "agent/config/paths.h"
#include "agent/config/source_text.h"
#include "agent/config/syntax_tree.h"
#include "agent/config/utf8.h"
#include "agent/config/word.h"

namespace apm::config {
namespace {

// What a configuration may take from the daemon's environment: where and as
// whom it runs, and no secret that happens to be in there.
constexpr std::string_view kEnvAllow[] = {"HOME", "USER", "HOSTNAME", "PATH",
                                          "LANG"};

class Loader {
 public:
  Loader(const Surroundings& surroundings, const VariableLookup& variable,
         const SourceTexts& texts, Findings& findings)
      : surroundings_(surroundings),
        variable_(variable),
        texts_(texts),
        findings_(findings) {}

  Config Build(const std::vector<Directive>& directives) {
    BlockReader daemon(Context::kDaemon, variable_, texts_, findings_);
    std::string daemon_folder = "/";
    for (const Directive& directive : directives) {
      findings_.EnterBlock(directive.id);
      if (directive.name.raw == kWorkerBlock) {
        AddWorker(directive);
      } else if (directive.name.raw == kDaemonBlock) {
        daemon.Read(directive);
        daemon_folder = FolderOf(texts_.Path(directive.name.span.file));
      } else {
        findings_.Error(directive.name.span,
                        absl::StrFormat("unknown directive '%s'",
                                        Quotable(directive.name.raw)),
                        SuggestDirective(Context::kTop, directive.name.raw));
      }
    }
    findings_.EnterBlock(0);
    std::vector<FieldProblem> problems;
    config_.daemon = BuildDaemon(daemon.daemon(), daemon_folder, problems);
    daemon.ReportAll(std::move(problems));
    return std::move(config_);
  }

 private:
  void AddWorker(const Directive& block) {
    BlockReader reader(Context::kWorker, variable_, texts_, findings_);
    reader.Read(block);

    const Span& at = block.name.span;
    WorkerContext context;
    context.folder = FolderOf(texts_.Path(at.file));
    context.cpu_count = surroundings_.cpu_count;
    context.address_form = AddressForm::kConfigFile;
    std::vector<FieldProblem> problems;
    WorkerConfig worker = BuildWorker(reader.worker(), context, problems);
    worker.source = {texts_.Path(at.file), texts_.LineOf(at)};
    reader.ReportAll(std::move(problems));
    findings_.NameBlock(block.id, worker.name);

    CheckName(reader, worker);
    if (!findings_.HasErrors(block.id)) CheckAddresses(reader, worker);
    if (findings_.HasErrors(block.id)) {
      config_.disabled.push_back({worker.name, worker.source});
    } else {
      config_.workers.push_back(std::move(worker));
    }
  }

  // A disabled worker keeps its name: the one meant might be either.
  void CheckName(const BlockReader& reader, const WorkerConfig& worker) {
    if (worker.name.empty()) return;
    const auto [first, is_new] = sources_.emplace(worker.name, worker.source);
    if (is_new) return;
    findings_.Error(
        reader.SpanOf("name", 0),
        absl::StrFormat("there is a worker '%s' already", worker.name),
        absl::StrFormat("the first is on line %d of '%s'", first->second.line,
                        Quotable(first->second.file)));
  }

  void CheckAddresses(const BlockReader& reader, const WorkerConfig& worker) {
    for (const ListenAddress& address : worker.listeners) {
      for (const WorkerConfig& other : config_.workers) {
        const auto taken = std::find_if(
            other.listeners.begin(), other.listeners.end(),
            [&](const ListenAddress& a) { return Clash(a, address); });
        if (taken == other.listeners.end()) continue;
        findings_.Error(
            SpanOfListener(reader, address),
            absl::StrFormat("'%s' is taken by worker '%s'",
                            FormatAddress(address), other.name),
            absl::StrFormat("it has '%s', on line %d of '%s'; use another",
                            Quotable(taken->text), other.source.line,
                            Quotable(other.source.file)));
      }
    }
  }

  // A listener may stand for several values; its text starts with the first.
  static Span SpanOfListener(const BlockReader& reader,
                             const ListenAddress& address) {
    const std::vector<std::string>& servers = reader.worker().servers;
    size_t index = 0;
    while (index < servers.size() &&
           !address.text.starts_with(servers[index])) {
      ++index;
    }
    return reader.SpanOf("server", index);
  }

  const Surroundings& surroundings_;
  const VariableLookup& variable_;
  const SourceTexts& texts_;
  Findings& findings_;
  Config config_;
  std::map<std::string, WorkerConfig::Source> sources_;
};

}  // namespace

Surroundings ProcessSurroundings() {
  Surroundings surroundings;
  std::map<std::string, std::string, std::less<>> values;
  for (const std::string_view name : kEnvAllow) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): see the header.
    const char* value = getenv(std::string(name).c_str());
    if (value != nullptr) values.emplace(name, value);
  }
  // A shell variable that is seldom exported.
  char hostname[256] = {};
  if (gethostname(hostname, sizeof hostname - 1) == 0) {
    values.emplace("HOSTNAME", hostname);
  }
  surroundings.variable =
      [values = std::move(values)](
          std::string_view name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) {
    surroundings.cpu_count = CPU_COUNT(&cpus);
  }
  return surroundings;
}

Config Load(const std::vector<std::string>& files, FileSource& source,
            const Surroundings& surroundings) {
  const VariableLookup variable =
      [&surroundings](std::string_view name) -> std::optional<std::string> {
    const bool allowed = std::find(std::begin(kEnvAllow), std::end(kEnvAllow),
                                   name) != std::end(kEnvAllow);
    if (!allowed || !surroundings.variable) return std::nullopt;
    return surroundings.variable(name);
  };
  SourceTexts texts;
  Findings findings(texts);
  Parser parser(source, variable, texts, findings);
  std::vector<Directive> directives;
  for (const std::string& file : files) parser.ParseFile(file, directives);

  Config config =
      Loader(surroundings, variable, texts, findings).Build(directives);
  config.diagnostics = findings.Take();
  return config;
}

}  // namespace apm::config
