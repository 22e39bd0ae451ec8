#include "proxy/client_address/client_address.h"

#include <cstddef>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

namespace apm::client_address {
namespace {

constexpr bool IsWhitespace(char c) { return c == ' ' || c == '\t'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsWhitespace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsWhitespace(text.back())) text.remove_suffix(1);
  return text;
}

bool IsPort(std::string_view digits) {
  if (digits.empty() || digits.size() > 5) return false;
  int value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  return value <= 65535;
}

// v4, v4:port, v6, [v6]:port. "unknown", obfuscated names (RFC 7239 6.2, 6.3)
// and everything else are no addresses.
std::optional<IpAddress> ParseEntry(std::string_view entry) {
  if (entry.starts_with('[')) {
    const size_t end = entry.find("]:");
    if (end == std::string_view::npos || !IsPort(entry.substr(end + 2))) {
      return std::nullopt;
    }
    const std::string_view inside = entry.substr(1, end - 1);
    if (inside.find(':') == std::string_view::npos) return std::nullopt;
    return IpAddress::Parse(inside);
  }
  const size_t colon = entry.find(':');
  if (colon != std::string_view::npos && colon == entry.rfind(':')) {
    if (!IsPort(entry.substr(colon + 1))) return std::nullopt;
    entry = entry.substr(0, colon);
  }
  return IpAddress::Parse(entry);
}

// The entries of all lines as one list, from its right end, which is the
// nearest. Empty elements are skipped (RFC 9110 5.6.1.2).
class EntriesFromTheRight {
 public:
  explicit EntriesFromTheRight(std::span<const std::string_view> lines)
      : lines_(lines) {}

  std::optional<std::string_view> Next() {
    while (in_line_ || !lines_.empty()) {
      if (!in_line_) {
        line_ = lines_.back();
        lines_ = lines_.first(lines_.size() - 1);
        in_line_ = true;
      }
      const size_t comma = line_.rfind(',');
      in_line_ = comma != std::string_view::npos;
      const size_t begin = in_line_ ? comma + 1 : 0;
      const std::string_view entry = line_.substr(begin);
      line_ = line_.substr(0, in_line_ ? comma : 0);
      read_bytes_ += entry.size() + 1;  // 1: the comma, or the line's end.
      if (!Trim(entry).empty()) return Trim(entry);
      if (read_bytes_ > kMaxHeaderBytes) return entry;  // Commas only.
    }
    return std::nullopt;
  }

  // With the entry returned last.
  size_t read_bytes() const { return read_bytes_; }

 private:
  std::span<const std::string_view> lines_;
  std::string_view line_;  // What is left of the current one.
  bool in_line_ = false;
  size_t read_bytes_ = 0;
};

}  // namespace

TrustedPeers::TrustedPeers() : unix_(true) {
  for (std::string_view loopback : {"127.0.0.0/8", "::1"}) {
    networks_.push_back(*Cidr::Parse(loopback));
  }
}

absl::StatusOr<TrustedPeers> TrustedPeers::Parse(
    std::span<const std::string_view> entries) {
  TrustedPeers trusted;
  trusted.unix_ = false;
  trusted.networks_.clear();
  for (std::string_view entry : entries) {
    if (entry == "unix") {
      trusted.unix_ = true;
      continue;
    }
    absl::StatusOr<Cidr> network = Cidr::Parse(entry);
    if (!network.ok()) return network.status();
    trusted.networks_.push_back(*std::move(network));
  }
  return trusted;
}

bool TrustedPeers::Contains(const IpAddress& address) const {
  for (const Cidr& network : networks_) {
    if (network.Contains(address)) return true;
  }
  return false;
}

std::string ClientAddress::RemoteAddress() const {
  std::string text = client ? client->ToString() : "unix";
  for (const IpAddress& hop : hops)
    absl::StrAppend(&text, ", ", hop.ToString());
  return text;
}

ClientAddress Resolve(const Policy& policy,
                      const std::optional<IpAddress>& peer,
                      std::span<const std::string_view> header_lines) {
  ClientAddress result;
  result.client = peer;
  result.headers_believed =
      policy.trust_proxy &&
      (peer ? policy.trusted.Contains(*peer) : policy.trusted.ContainsUnix());
  if (!result.headers_believed) return result;

  // result.client is the last address known to be true. Each step to the left
  // makes it a hop, as it has been found to be trusted.
  EntriesFromTheRight entries(header_lines);
  for (size_t hops = 0; const auto entry = entries.Next(); ++hops) {
    const std::optional<IpAddress> address = ParseEntry(*entry);
    if (!address || hops == kMaxHops ||
        entries.read_bytes() > kMaxHeaderBytes) {
      result.malformed = true;
      break;
    }
    if (result.client) result.hops.insert(result.hops.begin(), *result.client);
    result.client = address;
    if (!policy.trusted.Contains(*address)) break;
  }
  return result;
}

bool IsForwardingHeader(std::string_view lower_case_name) {
  return lower_case_name == "forwarded" || lower_case_name == "x-real-ip" ||
         lower_case_name.starts_with("x-forwarded-");
}

}  // namespace apm::client_address
