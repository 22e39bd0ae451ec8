#include "agent/config/quantity.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

namespace apm::config {
namespace {

constexpr absl::Duration kMaxDuration = absl::Hours(24 * 365 * 100);

// Splits "10ms" into "10" and "ms".
struct NumberAndUnit {
  std::string_view number;
  std::string_view unit;
};

NumberAndUnit SplitUnit(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    ++digits;
  }
  return {text.substr(0, digits), text.substr(digits)};
}

std::optional<absl::Duration> DurationUnit(std::string_view unit) {
  if (unit == "ms") return absl::Milliseconds(1);
  if (unit == "s") return absl::Seconds(1);
  if (unit == "m") return absl::Minutes(1);
  if (unit == "h") return absl::Hours(1);
  if (unit == "d") return absl::Hours(24);
  return std::nullopt;
}

struct NamedSignal {
  std::string_view name;
  int number;
};

// STOP, CONT and CHLD do not ask a program to end. KILL does not ask either,
// but for a program that ignores everything else there is no point in waiting.
constexpr NamedSignal kStopSignals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT},
    {"TERM", SIGTERM}, {"USR1", SIGUSR1},   {"USR2", SIGUSR2},
    {"ABRT", SIGABRT}, {"WINCH", SIGWINCH}, {"KILL", SIGKILL},
};

}  // namespace

std::optional<uint64_t> ParseCount(std::string_view text, uint64_t max) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (digit > max || value > (max - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<absl::Duration> ParseDuration(std::string_view text) {
  const auto [number, unit_name] = SplitUnit(text);
  const std::optional<absl::Duration> unit = DurationUnit(unit_name);
  const auto most =
      static_cast<uint64_t>(absl::ToInt64Milliseconds(kMaxDuration));
  const std::optional<uint64_t> count = ParseCount(number, most);
  if (!unit || !count) return std::nullopt;
  const absl::Duration duration = *unit * static_cast<int64_t>(*count);
  if (duration > kMaxDuration) return std::nullopt;
  return duration;
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  const auto [number, unit] = SplitUnit(text);
  int shift = 0;
  if (unit == "k" || unit == "K") {
    shift = 10;
  } else if (unit == "m" || unit == "M") {
    shift = 20;
  } else if (unit == "g" || unit == "G") {
    shift = 30;
  } else if (!unit.empty()) {
    return std::nullopt;
  }
  const std::optional<uint64_t> count =
      ParseCount(number, std::numeric_limits<int64_t>::max() >> shift);
  if (!count) return std::nullopt;
  return *count << shift;
}

std::optional<Rate> ParseRate(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view unit_name = text.substr(slash + 1);
  const std::optional<absl::Duration> unit = DurationUnit(unit_name);
  const std::optional<uint64_t> count =
      ParseCount(text.substr(0, slash), 1'000'000'000);
  if (!unit || unit_name == "ms" || !count || *count == 0) return std::nullopt;
  return Rate{*count, *unit};
}

std::optional<bool> ParseSwitch(std::string_view text) {
  if (text == "true" || text == "on" || text == "yes") return true;
  if (text == "false" || text == "off" || text == "no") return false;
  return std::nullopt;
}

std::optional<int> ParseSignal(std::string_view text) {
  const std::string upper =
      absl::AsciiStrToUpper(absl::string_view(text.data(), text.size()));
  std::string_view name = upper;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  const std::optional<uint64_t> number = ParseCount(text, 64);
  for (const NamedSignal& signal : kStopSignals) {
    if (name == signal.name) return signal.number;
    if (number && *number == static_cast<uint64_t>(signal.number)) {
      return signal.number;
    }
  }
  return std::nullopt;
}

std::optional<mode_t> ParseMode(std::string_view text) {
  if (text.size() < 3 || text.size() > 4) return std::nullopt;
  mode_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    mode = mode * 8 + static_cast<mode_t>(c - '0');
  }
  // Set-id and sticky bits mean nothing on a socket.
  if (mode > 0777) return std::nullopt;
  return mode;
}

std::optional<std::string> ParseCidr(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const int family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const unsigned bits = family == AF_INET ? 32 : 128;
  if (inet_pton(family, host.c_str(), bytes.data()) != 1) return std::nullopt;

  uint64_t prefix = bits;
  if (slash != std::string_view::npos) {
    const std::optional<uint64_t> given =
        ParseCount(text.substr(slash + 1), bits);
    if (!given) return std::nullopt;
    prefix = *given;
  }
  for (uint64_t bit = prefix; bit < bits; ++bit) {
    bytes[bit / 8] &= static_cast<unsigned char>(~(0x80U >> (bit % 8)));
  }
  char canonical[INET6_ADDRSTRLEN];
  inet_ntop(family, bytes.data(), canonical, sizeof canonical);
  return absl::StrCat(canonical, "/", prefix);
}

}  // namespace apm::config
