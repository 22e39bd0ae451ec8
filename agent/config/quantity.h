// Values of directives with a grammar of their own. Each function returns
// nullopt if `text` is not exactly such a value; there is no rounding and no
// guessing, and the caller knows what to suggest.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/time/time.h>

namespace apm::config {

// Decimal digits, at most `max`.
std::optional<uint64_t> ParseCount(std::string_view text, uint64_t max);

// "500ms", "10s", "5m", "2h", "7d"; a unit is required. At most 100 years, so
// that sums of them cannot overflow.
std::optional<absl::Duration> ParseDuration(std::string_view text);

// Bytes: "512", "64k", "512M", "2G", powers of 1024.
std::optional<uint64_t> ParseSize(std::string_view text);

struct Rate {
  uint64_t count;
  absl::Duration per;
  bool operator==(const Rate&) const = default;
};

// "200/s", "10/m", "1000/h", "5/d".
std::optional<Rate> ParseRate(std::string_view text);

// "true", "on", "yes"; "false", "off", "no".
std::optional<bool> ParseSwitch(std::string_view text);

// "TERM", "SIGTERM", "term", or the number, of a signal that a process can be
// asked to stop with.
std::optional<int> ParseSignal(std::string_view text);

// "660" or "0660": permission bits, octal.
std::optional<mode_t> ParseMode(std::string_view text);

// "10.0.0.0/8", "::1/128", "192.168.1.7" in canonical form: a single address
// gets its full prefix, bits behind the prefix are cleared.
std::optional<std::string> ParseCidr(std::string_view text);

}  // namespace apm::config
