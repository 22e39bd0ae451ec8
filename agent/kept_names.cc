#include "agent/kept_names.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

namespace apm::agent {
namespace {

using supervisor::InstanceKey;

constexpr std::string_view kProcessPrefix = "process:";
constexpr std::string_view kInstancePrefix = "instance:";

std::string_view Prefix(PipeEnd end) {
  switch (end) {
    case PipeEnd::kStdin:
      return "stdin:";
    case PipeEnd::kStdout:
      return "stdout:";
    case PipeEnd::kStderr:
      return "stderr:";
    case PipeEnd::kStray:
      return "stray:";
  }
  return "";
}

template <typename Number>
bool ParseNumber(std::string_view text, Number& number) {
  return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number);
}

// "web/0"
std::optional<InstancePlace> ParsePlace(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
  InstancePlace place{std::string(text.substr(0, slash)), 0};
  if (!ParseNumber(text.substr(slash + 1), place.instance)) return std::nullopt;
  return place;
}

// "web/0/17"
std::optional<InstanceKey> ParseKey(std::string_view text) {
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::optional<InstancePlace> place = ParsePlace(text.substr(0, slash));
  uint64_t generation = 0;
  if (!place || !ParseNumber(text.substr(slash + 1), generation)) {
    return std::nullopt;
  }
  return InstanceKey{std::move(place->worker), place->instance, generation};
}

std::string NameOf(std::string_view prefix, const InstanceKey& key) {
  return absl::StrCat(absl::string_view(prefix.data(), prefix.size()),
                      key.worker, "/", key.instance, "/", key.generation);
}

}  // namespace

std::string PipeName(PipeEnd end, const InstanceKey& key) {
  return NameOf(Prefix(end), key);
}

std::optional<std::pair<PipeEnd, InstanceKey>> ParsePipeName(
    std::string_view name) {
  for (const PipeEnd end : kPipeEnds) {
    const std::string_view prefix = Prefix(end);
    if (!name.starts_with(prefix)) continue;
    std::optional<InstanceKey> key = ParseKey(name.substr(prefix.size()));
    if (!key) return std::nullopt;
    return std::pair(end, *std::move(key));
  }
  return std::nullopt;
}

std::string ProcessNoteName(const InstanceKey& key) {
  return NameOf(kProcessPrefix, key);
}

std::optional<InstanceKey> ParseProcessNoteName(std::string_view name) {
  if (!name.starts_with(kProcessPrefix)) return std::nullopt;
  return ParseKey(name.substr(kProcessPrefix.size()));
}

std::string InstanceNoteName(const InstancePlace& place) {
  return absl::StrCat("instance:", place.worker, "/", place.instance);
}

std::optional<InstancePlace> ParseInstanceNoteName(std::string_view name) {
  if (!name.starts_with(kInstancePrefix)) return std::nullopt;
  return ParsePlace(name.substr(kInstancePrefix.size()));
}

}  // namespace apm::agent
