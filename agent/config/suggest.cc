// The optimal string alignment distance: Levenshtein's, where swapping two
// neighbours costs one as well, since "sevrer" is one slip of the fingers.

#include "agent/config/suggest.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace apm::config {
namespace {

// A longer word is no misspelt directive; bounds the work for hostile input.
constexpr size_t kMaxWordBytes = 40;

size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before_last, last);
    std::swap(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::string_view> Nearest(
    std::string_view word, const std::vector<std::string_view>& candidates) {
  if (word.size() > kMaxWordBytes) return std::nullopt;
  std::optional<std::string_view> nearest;
  // One slip in three letters; "x" is near to nothing.
  size_t least = word.size() / 3 + (word.size() > 1 ? 1 : 0);
  for (const std::string_view candidate : candidates) {
    const size_t distance = Distance(word, candidate);
    if (distance < least || (distance == least && !nearest)) {
      if (distance >= candidate.size()) continue;
      nearest = candidate;
      least = distance;
    }
  }
  return nearest;
}

}  // namespace apm::config
