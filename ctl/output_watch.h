// Notices that the reader of our output has gone: `| head` closes the pipe,
// and who only waits for something to print would not find out.

#pragma once

#include <cstdint>

#include <absl/time/time.h>

namespace apm::ctl {

enum class OutputWait : uint8_t { kReaderGone, kReadable, kTimeout };

// Waits until `other` is readable, the reader of stdout has gone, or `patience`
// is over; of two at once the first counts. -1: no other.
OutputWait WaitForOutput(int other, absl::Duration patience);

}  // namespace apm::ctl
