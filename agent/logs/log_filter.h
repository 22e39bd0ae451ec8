// Which lines somebody wants to see. Pure.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "agent/logs/log_line.h"

namespace apm::logs {

struct LogFilter {
  std::set<uint32_t> instances = {};  // Empty: every one.
  std::optional<Stream> stream = std::nullopt;
  std::string contains = {};  // Empty: every line.
  // On the text; null: every line. May be called on several threads at once.
  std::function<bool(std::string_view text)> matches = nullptr;
};

// The line if it is one of ours and passes.
std::optional<LogLine> Match(std::string_view raw, const LogFilter& filter);

}  // namespace apm::logs
