// The line that a `log` frame becomes in the worker's log:
//
//   warning disk nearly full {"free":12}

#pragma once

#include <string>
#include <string_view>

namespace apm::upstream {

// Ends with a newline and has no other: control characters of `level` and
// `message` are escaped (\n, \x1B), those of `fields`, JSON as it was sent, can
// only be white space and become spaces. No level is "info"; `fields` may be
// empty.
std::string FormatLogLine(std::string_view level, std::string_view message,
                          std::string_view fields);

}  // namespace apm::upstream
