// Why a process is stopped, as far as its clients are concerned.

#pragma once

#include <cstdint>

namespace apm::supervisor {

// What clients that stay connected may expect.
enum class StopReason : uint8_t {
  kReplaced,  // Another process follows, or is there: they may come again.
  kForGood,   // By command; nobody serves them until the next one.
};

}  // namespace apm::supervisor
