// Configuration text from anywhere: never a crash, and every diagnostic points
// into the text it is about.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "agent/config/diagnostic.h"
#include "agent/config/load.h"
#include "tests/agent/config/memory_source.h"

namespace {

constexpr char kMain[] = "/etc/apm/apm.conf";
constexpr char kOther[] = "/etc/apm/other.conf";

std::optional<std::string> Variable(std::string_view name) {
  if (name == "HOME") return "/home/ann";
  return std::nullopt;
}

void Require(bool condition) {
  if (!condition) abort();
}

size_t CountLines(std::string_view text) {
  return 1 + static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

// The input is two files, cut at the first form feed.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t cut = std::min(input.find('\f'), size);
  const std::string main(input.substr(0, cut));
  const std::string other(input.substr(std::min(cut + 1, size)));

  apm::config::MemorySource source;
  source.Add(kMain, main);
  source.Add(kOther, other);
  const apm::config::Config config =
      apm::config::Load({kMain}, source, {&Variable, 2});
  for (const apm::config::Diagnostic& diagnostic : config.diagnostics) {
    if (diagnostic.line == 0) continue;
    const std::string& text = diagnostic.file == kMain ? main : other;
    Require(diagnostic.line <= CountLines(text));
    Require(diagnostic.column >= 1);
    Require(diagnostic.column <= text.size() + 1);
    Require(diagnostic.caret >= 1);
    Require(diagnostic.caret <= diagnostic.excerpt.size() + 1);
    Require(!FormatDiagnostic(diagnostic).empty());
  }
  // A worker that is to run has no errors, and can be run.
  for (const apm::config::WorkerConfig& worker : config.workers) {
    Require(!worker.name.empty() && !worker.exec.empty());
    Require(worker.path.starts_with('/'));
    Require(worker.instances >= 1);
  }
  return 0;
}
