// Whatever a trusted peer forwards, a line a header: nothing may crash, every
// address printed must be one, and what stands left of an untrusted client
// must not matter.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/client_address/client_address.h"

namespace {

using apm::client_address::ClientAddress;
using apm::client_address::IpAddress;
using apm::client_address::Policy;
using apm::client_address::Resolve;

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (;;) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

void CheckText(const IpAddress& address) {
  if (IpAddress::Parse(address.ToString()) != address) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  Policy policy;
  policy.trust_proxy = true;
  const ClientAddress found =
      Resolve(policy, IpAddress::Parse("127.0.0.1"), Lines(text));
  if (!found.client || !found.headers_believed) std::abort();
  if (found.hops.size() > apm::client_address::kMaxHops) std::abort();
  CheckText(*found.client);
  for (const IpAddress& hop : found.hops) {
    CheckText(hop);
    if (!policy.trusted.Contains(hop)) std::abort();
  }

  if (policy.trusted.Contains(*found.client)) return 0;
  const std::string spoofed = "198.51.100.1, 127.0.0.1, " + text;
  const ClientAddress again =
      Resolve(policy, IpAddress::Parse("127.0.0.1"), Lines(spoofed));
  if (again.RemoteAddress() != found.RemoteAddress()) std::abort();
  return 0;
}
