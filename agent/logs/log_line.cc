#include "agent/logs/log_line.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include "agent/logs/json_text.h"

namespace apm::logs {
namespace {

constexpr char kTimeFormat[] = "%Y-%m-%dT%H:%M:%E6SZ";
constexpr std::string_view kJsonTime = R"({"time":")";
constexpr std::string_view kJsonEnd = R"("})";
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

// Takes `expected` off `rest`; false if it is not there.
bool Take(std::string_view& rest, std::string_view expected) {
  if (!rest.starts_with(expected)) return false;
  rest.remove_prefix(expected.size());
  return true;
}

// Takes what comes before `end` off `rest`, and `end`; empty if there is none.
std::string_view TakeUntil(std::string_view& rest, std::string_view end) {
  const size_t at = rest.find(end);
  if (at == std::string_view::npos) return {};
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at + end.size());
  return taken;
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

std::optional<LogLine> ParseTextLine(std::string_view line) {
  const std::optional<absl::Time> time = ParseTimestamp(TakeUntil(line, " "));
  if (!time) return std::nullopt;
  const std::optional<Stream> stream = ParseStream(TakeUntil(line, " "));
  if (!stream) return std::nullopt;
  const std::optional<uint32_t> instance = ParseInstance(TakeUntil(line, " "));
  if (!instance) return std::nullopt;
  return LogLine{*time, *stream, *instance, std::string(line)};
}

// Only what we write: the order and the spelling are fixed.
std::optional<LogLine> ParseJsonLine(std::string_view line) {
  if (!Take(line, kJsonTime) || !line.ends_with(kJsonEnd)) return std::nullopt;
  const auto time = ParseTimestamp(TakeUntil(line, R"(","stream":")"));
  const auto stream = ParseStream(TakeUntil(line, R"(","instance":)"));
  const auto instance = ParseInstance(TakeUntil(line, R"(,"text":")"));
  if (!time || !stream || !instance || line.size() < kJsonEnd.size()) {
    return std::nullopt;
  }
  line.remove_suffix(kJsonEnd.size());
  std::optional<std::string> text = ReadJsonText(line);
  // A newline that somebody wrote by hand would forge a line for readers.
  if (!text || text->find('\n') != std::string::npos) return std::nullopt;
  return LogLine{*time, *stream, *instance, *std::move(text)};
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

std::string FormatPrefix(absl::Time time, Stream stream, uint32_t instance,
                         LineFormat format) {
  const std::string timestamp = FormatTimestamp(time);
  const std::string name(Name(stream));
  switch (format) {
    case LineFormat::kText:
      return absl::StrCat(timestamp, " ", name, " ", instance, " ");
    case LineFormat::kJson:
      return absl::StrCat(R"({"time":")", timestamp, R"(","stream":")", name,
                          R"(","instance":)", instance, R"(,"text":")");
  }
  return "";
}

void AppendLine(std::string_view prefix, std::string_view text,
                LineFormat format, std::string& out) {
  out += prefix;
  switch (format) {
    case LineFormat::kText:
      out += text;
      break;
    case LineFormat::kJson:
      AppendJsonText(text, out);
      out += kJsonEnd;
      break;
  }
  out += '\n';
}

std::string FormatLine(const LogLine& line, LineFormat format) {
  std::string text;
  AppendLine(FormatPrefix(line.time, line.stream, line.instance, format),
             line.text, format, text);
  return text;
}

std::optional<LogLine> ParseLine(std::string_view line) {
  return line.starts_with('{') ? ParseJsonLine(line) : ParseTextLine(line);
}

std::optional<absl::Time> ParseTime(std::string_view beginning_of_line) {
  return ParseTimestamp(TimestampOf(beginning_of_line));
}

std::string_view TimestampOf(std::string_view beginning_of_line) {
  Take(beginning_of_line, kJsonTime);
  const std::string_view text = beginning_of_line.substr(0, kTimeShape.size());
  return HasShape(text, kTimeShape) ? text : std::string_view();
}

std::string FormatTimestamp(absl::Time time) {
  return absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone());
}

}  // namespace apm::logs
