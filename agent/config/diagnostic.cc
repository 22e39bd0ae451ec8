#include "agent/config/diagnostic.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>

namespace apm::config {
namespace {

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "";
}

// Blank, but as wide as the text before the caret: a tab stays a tab, and the
// bytes that continue a UTF-8 character have no width.
std::string Indent(std::string_view excerpt, size_t caret) {
  std::string indent;
  for (const char c : excerpt) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
    if (--caret == 0) break;
    indent.push_back(c == '\t' ? '\t' : ' ');
  }
  return indent;
}

}  // namespace

std::string FormatDiagnostic(const Diagnostic& diagnostic) {
  std::string text = diagnostic.file;
  if (diagnostic.line > 0) {
    absl::StrAppend(&text, ":", diagnostic.line, ":", diagnostic.column);
  }
  const std::string_view severity = SeverityName(diagnostic.severity);
  absl::StrAppend(&text, ": ", std::string(severity), ": ", diagnostic.message);
  if (!diagnostic.hint.empty()) absl::StrAppend(&text, "; ", diagnostic.hint);
  if (diagnostic.line > 0) {
    const size_t more = std::max<size_t>(diagnostic.length, 1) - 1;
    absl::StrAppend(&text, "\n    ", diagnostic.excerpt, "\n    ",
                    Indent(diagnostic.excerpt, diagnostic.caret), "^",
                    std::string(more, '~'));
  }
  return text;
}

std::string FormatDiagnostics(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    absl::StrAppend(&text, FormatDiagnostic(diagnostic), "\n");
  }
  return text;
}

bool HasErrors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& diagnostic) {
                       return diagnostic.severity == Severity::kError;
                     });
}

}  // namespace apm::config
