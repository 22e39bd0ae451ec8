// One event as the bytes of a ring's record, and back. Pure.
//
//   record  := version:u8=1 sequence:u64 time_us:i64 severity:u8 instance:u32
//              generation:u64 pid:i32 has_exit:u8 [exit]
//              type:name worker:name from_state:name to_state:name text:string
//              lines:u32 string[lines]
//   exit    := code:i32 signal:i32 core_dumped:u8 max_rss_bytes:u64 cpu_ms:u64
//   string  := length:u32 byte[length]
//
// In the byte order of this host, which the ring never leaves. An event has one
// encoding only.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "agent/events/event.h"

namespace apm::events {

// Over any record of an event within the limits.
inline constexpr size_t kMaxRecordBytes = size_t{64} << 10;

// Appends to `out`. The epoch is the ring's, and not in it. REQUIRES: within
// the limits (CutToLimits).
void Encode(const Event& event, std::string& out);

// nullopt if `record` is no encoding of an event within the limits.
std::optional<Event> Decode(std::string_view record);

}  // namespace apm::events
