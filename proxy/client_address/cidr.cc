#include "proxy/client_address/cidr.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include <absl/status/status.h>
#include <absl/strings/str_format.h>

namespace apm::client_address {
namespace {

constexpr int kAddressBits = 128;
constexpr int kV4Bits = 32;

absl::Status NotANetwork(std::string_view text, std::string_view reason) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "'%s' is not a network: %s", std::string(text), std::string(reason)));
}

// 1*3DIGIT without a leading zero, up to `most`.
std::optional<int> ParsePrefixBits(std::string_view digits, int most) {
  if (digits.empty() || digits.size() > 3) return std::nullopt;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  int value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  if (value > most) return std::nullopt;
  return value;
}

// The mask of `byte_index` for a prefix of `prefix_bits`.
uint8_t MaskOfByte(int prefix_bits, size_t byte_index) {
  const int bits = prefix_bits - static_cast<int>(8 * byte_index);
  if (bits >= 8) return 0xff;
  if (bits <= 0) return 0;
  return static_cast<uint8_t>(0xff << (8 - bits));
}

}  // namespace

absl::StatusOr<Cidr> Cidr::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const std::optional<IpAddress> address =
      IpAddress::Parse(text.substr(0, slash));
  if (!address) {
    return NotANetwork(text, "expected an address like 10.0.0.0/8 or ::1");
  }
  if (slash == std::string_view::npos) return Cidr(*address, kAddressBits);

  const bool is_v4 = text.find(':') == std::string_view::npos;
  const int most = is_v4 ? kV4Bits : kAddressBits;
  const std::optional<int> bits = ParsePrefixBits(text.substr(slash + 1), most);
  if (!bits) {
    return NotANetwork(text, is_v4 ? "the prefix is a number from 0 to 32"
                                   : "the prefix is a number from 0 to 128");
  }
  return Cidr(*address, is_v4 ? kAddressBits - kV4Bits + *bits : *bits);
}

bool Cidr::Contains(const IpAddress& address) const {
  // A short IPv6 prefix, ::/0 say, covers the mapped form of IPv4 by accident.
  if (address.is_v4() != network_.is_v4()) return false;
  for (size_t i = 0; i < address.bytes().size(); ++i) {
    const uint8_t differing = address.bytes()[i] ^ network_.bytes()[i];
    if ((differing & MaskOfByte(prefix_bits_, i)) != 0) return false;
  }
  return true;
}

}  // namespace apm::client_address
