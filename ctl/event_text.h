// Events as people read them. Pure: messages in, text out.

#pragma once

#include <string>

#include <absl/time/time.h>

#include "apm/v1/event.pb.h"

namespace apm::ctl {

// Of a crash, so that a screen holds some of them.
inline constexpr int kMaxTailLinesShown = 10;

// One line, and below it the last words of a process that crashed:
//
//   2026-11-21T12:00:00.123+01:00 E web/0 ready -> backoff: killed by SIGSEGV
//       | last words
//
// The letter is the severity: I, W or E; "-" stands for the node itself.
std::string EventText(const v1::Event& event, absl::TimeZone zone, bool colors);

}  // namespace apm::ctl
