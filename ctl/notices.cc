#include "ctl/notices.h"

#include <stdio.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "ctl/printable.h"

namespace apm::ctl {

void ReportWarning(std::string_view text) {
  fprintf(stderr, "warning: %s\n", Printable(text).c_str());
}

void ReportWarnings(const v1::Worker& worker) {
  for (const std::string& warning : worker.warnings()) {
    ReportWarning(worker.name() + ": " + warning);
  }
}

bool WantsHints() { return isatty(STDERR_FILENO) != 0; }

void Hint(std::string_view text) {
  if (!WantsHints()) return;
  fprintf(stderr, "hint: %s\n", Printable(text).c_str());
}

}  // namespace apm::ctl
