// An IPv4 or IPv6 address as a value.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace apm::client_address {

// IPv4 is kept as ::ffff:a.b.c.d, so that a client that reaches us through a
// dual-stack socket is the same client (RFC 4291 2.5.5.2).
class IpAddress {
 public:
  // Strict: four decimal numbers without leading zeros (inet_aton would read
  // 010 as 8), or RFC 4291 2.2 text. No port, brackets, zone or white space.
  static std::optional<IpAddress> Parse(std::string_view text);

  // Network byte order, as in sin_addr and sin6_addr.
  static IpAddress FromV4(std::span<const uint8_t, 4> bytes);
  static IpAddress FromV6(std::span<const uint8_t, 16> bytes);

  bool is_v4() const;

  // Network byte order; IPv4 as mapped.
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }

  // Dotted quad, or the canonical text of RFC 5952.
  std::string ToString() const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  explicit IpAddress(const std::array<uint8_t, 16>& bytes) : bytes_(bytes) {}

  std::array<uint8_t, 16> bytes_;
};

}  // namespace apm::client_address
