// Numbers as people read them.

#pragma once

#include <cstdint>
#include <string>

#include <absl/time/time.h>

namespace apm::ctl {

// Its two largest units: "850ms", "42s", "3m 12s", "5h 0m", "12d 4h".
std::string HumanDuration(absl::Duration duration);

// Three digits or so: "512 B", "45.3 MB", "1.2 GB". Powers of 1,024.
std::string HumanBytes(uint64_t bytes);

// Local time: "2026-11-21 12:00:00".
std::string HumanTime(absl::Time time);

}  // namespace apm::ctl
