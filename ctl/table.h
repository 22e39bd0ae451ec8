// Columns for a terminal: as wide as their widest cell, two spaces apart.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace apm::ctl {

enum class Color : uint8_t {
  kNone,
  kGreen,
  kYellow,
  kRed,
  kBlue,
  kMagenta,
  kCyan,
  kFaint
};

// `text` in `color`, where colors are wanted.
std::string Paint(std::string_view text, Color color, bool colors);

// Green is well, red is broken, yellow is on its way. For the states of
// workers and of instances.
Color ColorOfState(std::string_view state);

struct Cell {
  std::string text;
  Color color = Color::kNone;
  bool right = false;  // Aligned to the right: numbers.
};

// Lines with a newline each. The first row is the head. REQUIRES: rows of one
// length.
std::string FormatTable(const std::vector<std::vector<Cell>>& rows,
                        bool colors);

// "name      value": the names padded to one width; pairs without a value are
// left out.
std::string FormatPairs(
    const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace apm::ctl
