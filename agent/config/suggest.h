// "did you mean ...?"

#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace apm::config {

// The candidate nearest to `word`, counting insertions, deletions, changes and
// swaps of neighbours; nullopt if none is near enough to be a typing error.
// Among equals the first.
std::optional<std::string_view> Nearest(
    std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace apm::config
