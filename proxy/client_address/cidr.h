// A network: all addresses that share a prefix (RFC 4632).

#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "proxy/client_address/ip_address.h"

namespace apm::client_address {

class Cidr {
 public:
  // "10.0.0.0/8", "2001:db8::/32", or one address; bits behind the prefix are
  // dropped. kInvalidArgument says what is wrong with `text`.
  static absl::StatusOr<Cidr> Parse(std::string_view text);

  // IPv4 and IPv6 networks never contain each other's addresses, except that
  // an IPv4-mapped one is IPv4.
  bool Contains(const IpAddress& address) const;

 private:
  Cidr(const IpAddress& network, int prefix_bits)
      : network_(network), prefix_bits_(prefix_bits) {}

  IpAddress network_;
  int prefix_bits_;  // Of 128; an IPv4 prefix counts from 96.
};

}  // namespace apm::client_address
