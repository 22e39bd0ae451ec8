#include "agent/config/log_options.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/config/quantity.h"
#include "agent/config/utf8.h"

namespace apm::config {
namespace {

constexpr uint64_t kMinBytes = uint64_t{64} << 10;
constexpr uint64_t kMaxBytes = uint64_t{1} << 40;
constexpr uint64_t kMaxKeep = 100;
constexpr uint64_t kMaxRate = 1'000'000'000;
constexpr absl::Duration kMinAge = absl::Minutes(1);

constexpr char kUsage[] =
    "write: log rotate size=20M keep=5; log rate 10000/30s; or log format "
    "json;";

class LogReader {
 public:
  using Problem =
      std::function<void(size_t index, std::string message, std::string hint)>;

  LogReader(const std::vector<std::string>& values, const Problem& problem)
      : values_(values), problem_(problem) {}

  LogConfig Read() {
    while (at_ < values_.size()) {
      const std::string& option = values_[at_++];
      if (option == "rotate") {
        ReadRotation();
      } else if (option == "rate") {
        ReadRate();
      } else if (option == "format") {
        ReadFormat();
      } else if (option == "to") {
        problem_(at_ - 1, "'log to' is not available in this version",
                 "remove it: the log is a file");
        ++at_;
      } else {
        problem_(at_ - 1,
                 absl::StrFormat("'log' has no option '%s'", Quotable(option)),
                 kUsage);
      }
    }
    return config_;
  }

 private:
  void ReadRotation() {
    const size_t first = at_;
    for (; at_ < values_.size(); ++at_) {
      const std::string_view value = values_[at_];
      const size_t equals = value.find('=');
      if (equals == std::string_view::npos) break;
      ReadLimit(value.substr(0, equals), value.substr(equals + 1));
    }
    if (at_ > first) return;
    problem_(first - 1, "'log rotate' needs a value",
             "write: log rotate size=20M keep=5;");
  }

  void ReadLimit(std::string_view name, std::string_view text) {
    if (name == "size") {
      const auto size = ParseSize(text);
      if (size && *size >= kMinBytes && *size <= kMaxBytes) {
        config_.max_bytes = *size;
        return;
      }
      BadValue(at_, "rotate", "use a size from 64k to 1024G");
    } else if (name == "keep") {
      if (const auto keep = ParseCount(text, kMaxKeep)) {
        config_.keep = static_cast<int>(*keep);
        return;
      }
      BadValue(at_, "rotate", "use a number from 0 to 100");
    } else if (name == "age") {
      const auto age = ParseDuration(text);
      if (age && *age >= kMinAge) {
        config_.max_age = *age;
        return;
      }
      BadValue(at_, "rotate", "use a time from 1m on: 12h, 7d");
    } else {
      problem_(at_, absl::StrFormat("'log rotate' has no '%s'", Quotable(name)),
               "use size=, age= and keep=");
    }
  }

  // "10000/30s", "200/s".
  void ReadRate() {
    const std::optional<std::string> text = Next("rate", "10000/30s");
    if (!text) return;
    const size_t slash = text->find('/');
    const auto count =
        ParseCount(std::string_view(*text).substr(0, slash), kMaxRate);
    std::string per = slash == std::string::npos ? "" : text->substr(slash + 1);
    if (per == "s" || per == "m" || per == "h" || per == "d") per = "1" + per;
    const auto duration = ParseDuration(per);
    if (count && *count > 0 && duration && *duration > absl::ZeroDuration()) {
      config_.max_lines = *count;
      config_.lines_per = *duration;
    } else {
      BadValue(at_ - 1, "rate", "use lines per time: 10000/30s, 200/s");
    }
  }

  void ReadFormat() {
    const std::optional<std::string> text = Next("format", "json");
    if (!text) return;
    if (*text == "text" || *text == "json") {
      config_.json = *text == "json";
    } else {
      BadValue(at_ - 1, "format", "use text or json");
    }
  }

  // The value of `option`, which must have one.
  std::optional<std::string> Next(std::string_view option,
                                  std::string_view example) {
    if (at_ < values_.size()) return values_[at_++];
    problem_(at_ - 1, absl::StrFormat("'log %s' needs a value", option),
             absl::StrFormat("write: log %s %s;", option, example));
    return std::nullopt;
  }

  void BadValue(size_t index, std::string_view option, std::string hint) {
    problem_(index,
             absl::StrFormat("bad value '%s' for 'log %s'",
                             Quotable(values_[index]), option),
             std::move(hint));
  }

  const std::vector<std::string>& values_;
  const Problem& problem_;
  size_t at_ = 0;
  LogConfig config_;
};

// The largest unit that divides it: "20M", "1000k", "7".
std::string SizeText(uint64_t bytes) {
  constexpr std::string_view kUnits = "kMG";
  size_t unit = 0;
  while (unit < kUnits.size() && bytes > 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return absl::StrCat(bytes, unit == 0 ? "" : std::string(1, kUnits[unit - 1]));
}

}  // namespace

std::string FormatLog(const LogConfig& log) {
  std::string text =
      absl::StrCat("rotate size=", SizeText(log.max_bytes), " keep=", log.keep);
  if (log.max_age != absl::InfiniteDuration()) {
    absl::StrAppend(&text, " age=", absl::FormatDuration(log.max_age));
  }
  absl::StrAppend(&text, " format ", log.json ? "json" : "text");
  if (log.max_lines > 0) {
    absl::StrAppend(&text, " rate ", log.max_lines, "/",
                    absl::FormatDuration(log.lines_per));
  }
  return text;
}

LogConfig ReadLogOptions(
    const std::vector<std::string>& values,
    const std::function<void(size_t index, std::string message,
                             std::string hint)>& problem) {
  return LogReader(values, problem).Read();
}

}  // namespace apm::config
