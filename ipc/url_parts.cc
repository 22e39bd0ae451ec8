// Nothing here may take quadratic time: a client chooses the query and the
// cookies. So equal names are found by sorting, not by comparing all pairs.

#include "ipc/url_parts.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace apm::ipc {
namespace {

// -1 if `c` is no hex digit.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Takes the part of `rest` before the next `separator` off its front.
std::string_view TakePart(char separator, std::string_view& rest) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

// The two sides of the first `=`; without one, all of it is the name.
Field SplitAtEquals(std::string_view part) {
  const size_t equals = part.find('=');
  if (equals == std::string_view::npos) return {part, {}};
  return {part.substr(0, equals), part.substr(equals + 1)};
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const size_t from = text.find_first_not_of(kBlank);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

std::string_view Unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return text;
  return text.substr(1, text.size() - 2);
}

}  // namespace

void AppendPercentDecoded(std::string_view text, bool plus_is_space,
                          std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%' && text.size() - i > 2) {
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        c = static_cast<char>(high << 4 | low);
        i += 2;
      }
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    out.push_back(c);
  }
}

const std::vector<std::string_view>& UrlParts::ParsePath(
    std::string_view path) {
  Start(path);
  segments_.clear();
  while (!path.empty()) {
    const std::string_view segment = TakePart('/', path);
    if (!segment.empty()) segments_.push_back(Decode(segment, false));
  }
  return segments_;
}

const std::vector<Field>& UrlParts::ParseQuery(std::string_view query) {
  Start(query);
  fields_.clear();
  while (!query.empty()) {
    const std::string_view part = TakePart('&', query);
    if (part.empty()) continue;
    const Field raw = SplitAtEquals(part);
    fields_.push_back({Decode(raw.name, true), Decode(raw.value, true)});
  }
  if (FindFirstOfName()) {
    // Every field moves to the first of its name.
    std::ranges::sort(order_, {}, [this](size_t i) {
      return std::pair(first_of_name_[i], i);
    });
    CopyInOrder();
  }
  return fields_;
}

const std::vector<Field>& UrlParts::ParseCookies(std::string_view header) {
  Start(header);
  fields_.clear();
  while (!header.empty()) {
    const std::string_view part = TakePart(';', header);
    if (part.find('=') == std::string_view::npos) continue;
    const Field raw = SplitAtEquals(part);
    const std::string_view name = Trim(raw.name);
    if (name.empty()) continue;
    fields_.push_back({name, Decode(Unquote(Trim(raw.value)), false)});
  }
  if (FindFirstOfName()) {
    std::erase_if(order_, [this](size_t i) { return first_of_name_[i] != i; });
    std::ranges::sort(order_);
    CopyInOrder();
  }
  return fields_;
}

void UrlParts::Start(std::string_view text) {
  decoded_.clear();
  decoded_.reserve(text.size());  // Decoding never lengthens: views stay.
}

std::string_view UrlParts::Decode(std::string_view text, bool plus_is_space) {
  if (text.find('%') == std::string_view::npos &&
      (!plus_is_space || text.find('+') == std::string_view::npos)) {
    return text;
  }
  const size_t start = decoded_.size();
  AppendPercentDecoded(text, plus_is_space, decoded_);
  return std::string_view(decoded_).substr(start);
}

bool UrlParts::FindFirstOfName() {
  order_.resize(fields_.size());
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::ranges::sort(order_, {},
                    [this](size_t i) { return std::pair(fields_[i].name, i); });
  first_of_name_.resize(fields_.size());
  bool repeated = false;
  for (size_t k = 0; k < order_.size(); ++k) {
    const bool same =
        k > 0 && fields_[order_[k]].name == fields_[order_[k - 1]].name;
    first_of_name_[order_[k]] =
        same ? first_of_name_[order_[k - 1]] : order_[k];
    repeated |= same;
  }
  return repeated;
}

void UrlParts::CopyInOrder() {
  reordered_.clear();
  for (const size_t i : order_) reordered_.push_back(fields_[i]);
  fields_.swap(reordered_);
}

}  // namespace apm::ipc
