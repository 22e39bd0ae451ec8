#include "ctl/table.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

namespace apm::ctl {
namespace {

constexpr size_t kGap = 2;

std::string_view Escape(Color color) {
  switch (color) {
    case Color::kNone:
      return "";
    case Color::kGreen:
      return "\x1b[32m";
    case Color::kYellow:
      return "\x1b[33m";
    case Color::kRed:
      return "\x1b[31m";
    case Color::kBlue:
      return "\x1b[34m";
    case Color::kMagenta:
      return "\x1b[35m";
    case Color::kCyan:
      return "\x1b[36m";
    case Color::kFaint:
      return "\x1b[2m";
  }
  return "";
}

// Columns that `text` takes: its characters, which is near enough for what is
// in our tables.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

}  // namespace

std::string Paint(std::string_view text, Color color, bool colors) {
  std::string result(text);
  if (!colors || color == Color::kNone) return result;
  return std::string(Escape(color)) + result + "\x1b[0m";
}

Color ColorOfState(std::string_view state) {
  if (state == "ready") return Color::kGreen;
  if (state == "stopped" || state == "exited") return Color::kFaint;
  if (state == "failed" || state == "crashloop" || state == "backoff") {
    return Color::kRed;
  }
  return Color::kYellow;
}

std::string FormatTable(const std::vector<std::vector<Cell>>& rows,
                        bool colors) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(row.size());
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], Width(row[i].text));
    }
  }
  std::string result;
  for (const auto& row : rows) {
    std::string line;
    size_t gap = 0;  // Not yet written: a line has no blanks at its end.
    for (size_t i = 0; i < row.size(); ++i) {
      const Cell& cell = row[i];
      const size_t padding = widths[i] - Width(cell.text);
      if (cell.right) gap += padding;
      if (!cell.text.empty()) {
        line.append(gap, ' ');
        line += Paint(cell.text, cell.color, colors);
        gap = 0;
      }
      gap += kGap + (cell.right ? 0 : padding);
    }
    result += line + "\n";
  }
  return result;
}

std::string FormatPairs(
    const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& [name, value] : pairs) {
    if (!value.empty()) rows.push_back({{.text = name}, {.text = value}});
  }
  return FormatTable(rows, /*colors=*/false);
}

}  // namespace apm::ctl
