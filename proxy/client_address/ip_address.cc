#include "proxy/client_address/ip_address.h"

#include <algorithm>
#include <cstddef>

namespace apm::client_address {
namespace {

using Bytes = std::array<uint8_t, 16>;

constexpr Bytes kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kMappedPrefixBytes = 12;
constexpr size_t kGroups = 8;
constexpr std::string_view kHexDigits = "0123456789abcdef";

// Takes 1*3DIGIT up to 255 without a leading zero off the front.
std::optional<uint8_t> TakeOctet(std::string_view& text) {
  size_t digits = 0;
  unsigned value = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (++digits > 3) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(text[digits - 1] - '0');
  }
  if (digits == 0 || value > 255 || (digits > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return static_cast<uint8_t>(value);
}

bool ParseQuad(std::string_view text, std::span<uint8_t, 4> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) {
      if (!text.starts_with('.')) return false;
      text.remove_prefix(1);
    }
    const std::optional<uint8_t> octet = TakeOctet(text);
    if (!octet) return false;
    bytes[i] = *octet;
  }
  return text.empty();
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// 1*4HEXDIG.
std::optional<unsigned> ParseGroup(std::string_view digits) {
  if (digits.empty() || digits.size() > 4) return std::nullopt;
  unsigned value = 0;
  for (char c : digits) {
    const int digit = HexValue(c);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<unsigned>(digit);
  }
  return value;
}

// Parses groups with colons between them, the last of which may be a quad
// where `quad_allowed`, into the front of `bytes`. Returns how many it filled:
// none for empty text.
std::optional<size_t> ParseGroups(std::string_view text, bool quad_allowed,
                                  Bytes& bytes) {
  if (text.empty()) return 0;
  size_t filled = 0;
  for (bool last = false; !last;) {
    const size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    last = colon == std::string_view::npos;
    if (last && quad_allowed && filled + 4 <= bytes.size() &&
        ParseQuad(group, std::span<uint8_t, 4>(&bytes[filled], 4))) {
      return filled + 4;
    }
    const std::optional<unsigned> value = ParseGroup(group);
    if (!value || filled + 2 > bytes.size()) return std::nullopt;
    bytes[filled++] = static_cast<uint8_t>(*value >> 8);
    bytes[filled++] = static_cast<uint8_t>(*value);
    if (!last) text.remove_prefix(colon + 1);
  }
  return filled;
}

// RFC 4291 2.2: all eight groups, or fewer around one "::".
std::optional<Bytes> ParseV6(std::string_view text) {
  Bytes head{};
  const size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (ParseGroups(text, true, head) != head.size()) return std::nullopt;
    return head;
  }
  Bytes tail{};
  const std::optional<size_t> before =
      ParseGroups(text.substr(0, gap), false, head);
  const std::optional<size_t> after =
      ParseGroups(text.substr(gap + 2), true, tail);
  // "::" stands for at least one group.
  if (!before || !after || *before + *after > head.size() - 2) {
    return std::nullopt;
  }
  std::copy_n(tail.begin(), *after, head.end() - static_cast<long>(*after));
  return head;
}

void AppendDecimal(uint8_t value, std::string& out) {
  out.append(std::to_string(value));
}

void AppendHex(unsigned group, std::string& out) {
  bool started = false;
  for (int shift = 12; shift >= 0; shift -= 4) {
    const unsigned digit = group >> shift & 0xf;
    started |= digit != 0 || shift == 0;
    if (started) out.push_back(kHexDigits[digit]);
  }
}

struct Run {
  size_t begin = kGroups;
  size_t size = 0;
};

// The run of zero groups that "::" replaces: the longest, of equals the first,
// never a single one (RFC 5952 4.2).
Run LongestZeroRun(const std::array<unsigned, kGroups>& groups) {
  Run longest;
  for (size_t begin = 0; begin < kGroups; ++begin) {
    size_t end = begin;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - begin > std::max<size_t>(longest.size, 1)) {
      longest = {begin, end - begin};
    }
  }
  return longest;
}

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    const std::optional<Bytes> bytes = ParseV6(text);
    if (!bytes) return std::nullopt;
    return IpAddress(*bytes);
  }
  Bytes bytes = kMappedPrefix;
  if (!ParseQuad(text, std::span<uint8_t, 4>(&bytes[kMappedPrefixBytes], 4))) {
    return std::nullopt;
  }
  return IpAddress(bytes);
}

IpAddress IpAddress::FromV4(std::span<const uint8_t, 4> bytes) {
  Bytes mapped = kMappedPrefix;
  std::copy(bytes.begin(), bytes.end(), mapped.begin() + kMappedPrefixBytes);
  return IpAddress(mapped);
}

IpAddress IpAddress::FromV6(std::span<const uint8_t, 16> bytes) {
  Bytes copy;
  std::copy(bytes.begin(), bytes.end(), copy.begin());
  return IpAddress(copy);
}

bool IpAddress::is_v4() const {
  return std::equal(kMappedPrefix.begin(),
                    kMappedPrefix.begin() + kMappedPrefixBytes, bytes_.begin());
}

std::string IpAddress::ToString() const {
  std::string text;
  if (is_v4()) {
    for (size_t i = kMappedPrefixBytes; i < bytes_.size(); ++i) {
      if (i > kMappedPrefixBytes) text.push_back('.');
      AppendDecimal(bytes_[i], text);
    }
    return text;
  }
  std::array<unsigned, kGroups> groups;
  for (size_t i = 0; i < kGroups; ++i) {
    groups[i] = static_cast<unsigned>(bytes_[2 * i]) << 8 | bytes_[2 * i + 1];
  }
  const Run gap = LongestZeroRun(groups);
  for (size_t i = 0; i < kGroups;) {
    if (i == gap.begin) {
      text.append("::");
      i += gap.size;
      continue;
    }
    if (i > 0 && i != gap.begin + gap.size) text.push_back(':');
    AppendHex(groups[i++], text);
  }
  return text;
}

}  // namespace apm::client_address
