#include "agent/config/findings.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "agent/config/diagnostic.h"
#include "agent/config/source_text.h"

namespace apm::config {
namespace {

// Nobody reads more, and a hostile file could have one a byte.
constexpr size_t kMaxFindings = 500;

}  // namespace

void Findings::Report(Severity severity, const Span& span, std::string message,
                      std::string hint) {
  if (severity == Severity::kError) blocks_in_error_.insert(block_);
  if (findings_.size() >= kMaxFindings) {
    ++not_kept_;
    return;
  }
  Diagnostic diagnostic = texts_.At(span);
  diagnostic.severity = severity;
  diagnostic.message = std::move(message);
  diagnostic.hint = std::move(hint);
  findings_.push_back({std::move(diagnostic), block_, span.file, span.begin});
}

void Findings::FileError(const std::string& path, std::string message) {
  blocks_in_error_.insert(block_);
  Diagnostic diagnostic;
  diagnostic.file = path;
  diagnostic.message = std::move(message);
  findings_.push_back({std::move(diagnostic), block_, -1, 0});
}

void Findings::NameBlock(BlockId block, std::string name) {
  names_[block] = std::move(name);
}

std::vector<Diagnostic> Findings::Take() {
  std::stable_sort(findings_.begin(), findings_.end(),
                   [](const Finding& a, const Finding& b) {
                     return std::tie(a.file, a.offset) <
                            std::tie(b.file, b.offset);
                   });
  std::vector<Diagnostic> diagnostics;
  for (Finding& finding : findings_) {
    const auto name = names_.find(finding.block);
    if (name != names_.end()) finding.diagnostic.worker = name->second;
    diagnostics.push_back(std::move(finding.diagnostic));
  }
  if (not_kept_ > 0) {
    Diagnostic rest;
    rest.file = diagnostics.back().file;
    rest.severity =
        blocks_in_error_.empty() ? Severity::kWarning : Severity::kError;
    rest.message = absl::StrCat(not_kept_, " more problems are not shown");
    diagnostics.push_back(std::move(rest));
  }
  findings_.clear();
  return diagnostics;
}

}  // namespace apm::config
