#include "agent/control/log_query.h"

#include <re2/re2.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "agent/logs/log_filter.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

constexpr size_t kDefaultLines = 100;

// Of what a client may ask, and of the memory that it may cost.
constexpr size_t kMaxExpressionBytes = 4096;
constexpr int64_t kMaxExpressionMemory = int64_t{8} << 20;

absl::StatusOr<std::function<bool(std::string_view)>> Compile(
    const std::string& expression) {
  if (expression.empty()) return nullptr;
  if (expression.size() > kMaxExpressionBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the regular expression has ", expression.size(),
                     " bytes; the limit is ", kMaxExpressionBytes));
  }
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kMaxExpressionMemory);
  // Shared by copies of the function; RE2 is for any thread.
  const auto compiled = std::make_shared<const RE2>(expression, options);
  if (!compiled->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("bad regular expression '", expression,
                     "': ", compiled->error(), "; its syntax is RE2's"));
  }
  return [compiled](std::string_view text) {
    return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()),
                             *compiled);
  };
}

// The two requests have the same fields for this.
template <typename Request>
absl::StatusOr<logs::LastLines> Convert(const Request& request) {
  logs::LastLines wanted;
  if (request.stream() == "out") {
    wanted.filter.stream = logs::Stream::kOut;
  } else if (request.stream() == "err") {
    wanted.filter.stream = logs::Stream::kErr;
  } else if (!request.stream().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unknown stream '", request.stream(), "'; write out or err"));
  }
  if (request.lines() > logs::kMaxReadLines) {
    return absl::InvalidArgumentError(
        absl::StrCat(request.lines(), " lines are too many; ask for at most ",
                     logs::kMaxReadLines));
  }
  wanted.count = request.lines();
  wanted.filter.contains = request.contains();
  APM_ASSIGN_OR_RETURN(wanted.filter.matches, Compile(request.matches()));
  if (request.since_unix_us() != 0) {
    wanted.since = absl::FromUnixMicros(request.since_unix_us());
  }
  return wanted;
}

}  // namespace

absl::StatusOr<logs::LastLines> LastLinesOf(const v1::ReadLogRequest& request) {
  APM_ASSIGN_OR_RETURN(logs::LastLines wanted, Convert(request));
  if (wanted.count == 0) wanted.count = kDefaultLines;
  return wanted;
}

absl::StatusOr<logs::LastLines> LastLinesOf(
    const v1::FollowLogRequest& request) {
  APM_ASSIGN_OR_RETURN(logs::LastLines wanted, Convert(request));
  if (wanted.count == 0 && request.since_unix_us() != 0) {
    wanted.count = logs::kMaxReadLines;
  }
  return wanted;
}

absl::StatusOr<std::map<std::string, logs::LogPosition>> PositionsOf(
    const v1::FollowLogRequest& request) {
  std::map<std::string, logs::LogPosition> positions;
  for (const v1::LogPosition& after : request.after()) {
    APM_ASSIGN_OR_RETURN(positions[after.worker()],
                         logs::ParsePosition(after.position()));
  }
  return positions;
}

}  // namespace apm::control
