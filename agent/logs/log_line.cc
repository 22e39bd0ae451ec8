#include "agent/logs/log_line.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

namespace apm::logs {
namespace {

constexpr char kTimeFormat[] = "%Y-%m-%dT%H:%M:%E6SZ";
constexpr std::string_view kTimeShape = "dddd-dd-ddTdd:dd:dd.ddddddZ";

bool HasShape(std::string_view text, std::string_view shape) {
  if (text.size() != shape.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool fits = shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9'
                                      : text[i] == shape[i];
    if (!fits) return false;
  }
  return true;
}

// Takes what comes before the next space off `rest`, and the space; empty if
// there is none.
std::string_view TakeWord(std::string_view& rest) {
  const size_t space = rest.find(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view word = rest.substr(0, space);
  rest.remove_prefix(space + 1);
  return word;
}

// ParseTime takes more than we write (spaces, short numbers): the shape first.
// FormatTime gives years below 1000 fewer than four digits: not ours either.
std::optional<absl::Time> ParseTimestamp(std::string_view text) {
  absl::Time time;
  if (!HasShape(text, kTimeShape) || text[0] == '0' ||
      !absl::ParseTime(kTimeFormat, absl::string_view(text.data(), text.size()),
                       &time, nullptr)) {
    return std::nullopt;
  }
  return time;
}

std::optional<Stream> ParseStream(std::string_view text) {
  for (const Stream stream : {Stream::kOut, Stream::kErr}) {
    if (text == Name(stream)) return stream;
  }
  return std::nullopt;
}

std::optional<uint32_t> ParseInstance(std::string_view text) {
  uint32_t instance = 0;
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, instance);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return instance;
}

}  // namespace

std::string_view Name(Stream stream) {
  switch (stream) {
    case Stream::kOut:
      return "out";
    case Stream::kErr:
      return "err";
  }
  return "unknown";
}

std::string FormatPrefix(absl::Time time, Stream stream, uint32_t instance) {
  return absl::StrCat(absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone()),
                      " ", std::string(Name(stream)), " ", instance, " ");
}

std::string FormatLine(const LogLine& line) {
  return FormatPrefix(line.time, line.stream, line.instance) + line.text + "\n";
}

std::optional<LogLine> ParseLine(std::string_view line) {
  const std::optional<absl::Time> time = ParseTimestamp(TakeWord(line));
  if (!time) return std::nullopt;
  const std::optional<Stream> stream = ParseStream(TakeWord(line));
  if (!stream) return std::nullopt;
  const std::optional<uint32_t> instance = ParseInstance(TakeWord(line));
  if (!instance) return std::nullopt;
  return LogLine{*time, *stream, *instance, std::string(line)};
}

}  // namespace apm::logs
