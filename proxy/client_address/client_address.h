// Who the client is: the socket's peer, or the address that a trusted proxy
// in front reports in X-Forwarded-For.
//
// The header is a list to which each proxy appends the peer it saw, so only
// its right end, as far as it was written by proxies we trust, is evidence.
// Everything to the left of the first untrusted address is hearsay, and is
// never looked at.

#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "proxy/client_address/cidr.h"
#include "proxy/client_address/ip_address.h"

namespace apm::client_address {

// A header that tells of more is not believed any further.
inline constexpr size_t kMaxHops = 32;
inline constexpr size_t kMaxHeaderBytes = size_t{2} << 10;

// The peers that may tell us about clients.
class TrustedPeers {
 public:
  // Loopback and unix sockets: the proxy on the same host.
  TrustedPeers();

  // Networks, addresses, and the word "unix". kInvalidArgument names the entry.
  static absl::StatusOr<TrustedPeers> Parse(
      std::span<const std::string_view> entries);

  bool ContainsUnix() const { return unix_; }
  bool Contains(const IpAddress& address) const;

 private:
  bool unix_ = false;
  std::vector<Cidr> networks_;
};

// The header that the proxies in front write.
enum class Header { kXForwardedFor };

struct Policy {
  bool trust_proxy = false;
  TrustedPeers trusted;
  Header header = Header::kXForwardedFor;
};

struct ClientAddress {
  // The client; nullopt for a unix peer that nobody vouched for.
  std::optional<IpAddress> client;
  // The trusted proxies between the client and us, the client's side first,
  // the socket's peer last (a unix peer has no address and is left out).
  std::vector<IpAddress> hops;
  // False: the peer's forwarding fields are hearsay, and those for which
  // IsForwardingHeader() holds must be removed.
  bool headers_believed = false;
  // The header was cut short: an entry that is no address, or too many.
  bool malformed = false;

  // The session's `remoteAddress`: the client, then the hops, joined by ", ";
  // "unix" for a unix peer that nobody vouched for.
  std::string RemoteAddress() const;
};

// Finds the client of one request. `peer` is nullopt for a unix socket;
// `header_lines` are all lines of the policy's header in the order received.
//
// Walks right to left from the peer past trusted addresses; the first other
// one is the client, or the leftmost if all are trusted. An entry that is not
// an address stops the walk at the last trusted hop.
ClientAddress Resolve(const Policy& policy,
                      const std::optional<IpAddress>& peer,
                      std::span<const std::string_view> header_lines);

// True for the fields by which proxies report a client, in lower case:
// forwarded, x-real-ip and x-forwarded-*.
bool IsForwardingHeader(std::string_view lower_case_name);

}  // namespace apm::client_address
