// One problem found in a configuration, and its text for people.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace apm::config {

enum class Severity : uint8_t {
  kWarning,  // The default is used; everything runs.
  kError,    // The worker it is in is disabled; outside of workers, the
             // directive has no effect. `config check` fails.
};

struct Diagnostic {
  Severity severity = Severity::kError;
  std::string file;
  size_t line = 0;      // From 1; 0: about the file as a whole.
  size_t column = 0;    // From 1, in characters.
  std::string excerpt;  // The line, or the part of a long one around `column`.
  size_t caret = 0;     // Where `column` is in `excerpt`, from 1.
  size_t length = 0;    // Characters to underline.
  std::string message;
  std::string hint;    // What to write instead; may be empty.
  std::string worker;  // Name of the worker it is in; empty: none or unnamed.

  bool operator==(const Diagnostic&) const = default;
};

// Ends without a newline:
//
//   apm.conf:4:5: error: unknown directive 'trust_proxi'; did you mean
//   'trust_proxy'?                                   (one line in reality)
//       trust_proxi true;
//       ^~~~~~~~~~~
std::string FormatDiagnostic(const Diagnostic& diagnostic);

// All of them, one after the other, each ending with a newline.
std::string FormatDiagnostics(const std::vector<Diagnostic>& diagnostics);

bool HasErrors(const std::vector<Diagnostic>& diagnostics);

}  // namespace apm::config
