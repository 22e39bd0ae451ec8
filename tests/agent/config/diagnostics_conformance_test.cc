// Runs tests/conformance/config_diagnostics.txt, whose head has the format.

#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/config/diagnostic.h"
#include "agent/config/load.h"
#include "tests/agent/config/memory_source.h"

namespace apm::config {
namespace {

struct Case {
  std::string title;
  MemorySource files;
  std::string expected;
};

std::vector<Case> ReadCases() {
  std::ifstream in(APM_SOURCE_DIR "/tests/conformance/config_diagnostics.txt");
  std::vector<Case> cases;
  std::string file;
  std::string text;
  bool in_expected = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("=== ")) {
      cases.push_back({line.substr(4), {}, ""});
      file = "apm.conf";
      text.clear();
      in_expected = false;
    } else if (cases.empty()) {
      continue;
    } else if (line.starts_with("--- ") || line.starts_with("+++ ")) {
      cases.back().files.Add("/etc/apm/" + file, text);
      in_expected = line[0] == '+';
      file = line.substr(4);
      text.clear();
      if (in_expected) cases.back().expected = file + "\n";
    } else if (in_expected) {
      cases.back().expected += line + "\n";
    } else {
      text += line + "\n";
    }
  }
  return cases;
}

std::optional<std::string> Variable(std::string_view name) {
  if (name == "HOME") return "/home/ann";
  if (name == "HOSTNAME") return "host1";
  return std::nullopt;
}

std::string Outcome(Case& vector) {
  const Config config =
      Load({"/etc/apm/apm.conf"}, vector.files, {&Variable, 4});
  std::string outcome = "runs:";
  for (const WorkerConfig& worker : config.workers) {
    outcome += " " + worker.name;
  }
  return outcome + "\n" + FormatDiagnostics(config.diagnostics) + "\n";
}

TEST(DiagnosticsConformanceTest, EveryCaseSaysWhatTheFileSays) {
  std::vector<Case> cases = ReadCases();
  ASSERT_GE(cases.size(), 40u);
  for (Case& vector : cases) {
    EXPECT_EQ(Outcome(vector), vector.expected) << vector.title;
  }
}

}  // namespace
}  // namespace apm::config
