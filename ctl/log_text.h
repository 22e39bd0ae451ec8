// Lines of workers as people read them. Pure: messages in, text out.

#pragma once

#include <cstddef>
#include <string>

#include <absl/time/time.h>

#include "apm/v1/log.pb.h"

namespace apm::ctl {

struct LogStyle {
  bool raw = false;  // The text alone.
  bool timestamps = false;
  bool colors = false;
  bool to_terminal = false;  // Which control characters could play tricks on.
  absl::TimeZone zone = absl::UTCTimeZone();
};

// One line of text for each line:
//
//   2026-11-21T12:00:00.123+01:00 web/0  out | listening on port 3000
//   2026-11-21T12:00:00.456+01:00 mail/0 err | out of stamps
//
// The names are padded to the widest one so far, a worker keeps its color, and
// err is red.
class LogFormatter {
 public:
  explicit LogFormatter(LogStyle style) : style_(std::move(style)) {}

  // So that the first lines are aligned too.
  void Widen(const v1::LogLine& line);

  std::string Format(const v1::LogLine& line);

 private:
  const LogStyle style_;
  size_t width_ = 0;
};

}  // namespace apm::ctl
