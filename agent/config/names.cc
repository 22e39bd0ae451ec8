#include "agent/config/names.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include <absl/strings/ascii.h>

namespace apm::config {
namespace {

constexpr size_t kMaxWorkerNameBytes = 63;
constexpr size_t kMaxAccountNameBytes = 32;

bool IsAlphanumeric(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c));
}

// Letters, digits, and what is in `extra`.
bool ConsistsOf(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [extra](char c) {
    return IsAlphanumeric(c) || extra.find(c) != std::string_view::npos;
  });
}

}  // namespace

bool IsWorkerName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxWorkerNameBytes &&
         IsAlphanumeric(text[0]) && ConsistsOf(text, "_.-");
}

bool IsVariableName(std::string_view text) {
  return !text.empty() && ConsistsOf(text, "_") &&
         !absl::ascii_isdigit(static_cast<unsigned char>(text[0]));
}

bool IsAccountName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxAccountNameBytes &&
         text[0] != '-' && ConsistsOf(text, "_.-");
}

}  // namespace apm::config
