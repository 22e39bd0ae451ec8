// What is said beside an answer, on stderr, so that stdout stays the answer.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apm/v1/worker.pb.h"

namespace apm::ctl {

// "warning: <text>". Does not make a command fail.
void ReportWarning(std::string_view text);

// The worker's, each with its name: above all that a change is not stored.
void ReportWarnings(const v1::Worker& worker);

// Whether Hint() says anything: stderr is a terminal.
bool WantsHints();

// "hint: <text>": what a person may want to know, and a script does not.
void Hint(std::string_view text);

}  // namespace apm::ctl
