#include "proxy/client_address/client_address.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include "tests/testing/conformance_vectors.h"
#include "tests/testing/status_matchers.h"

#include <nlohmann/json.hpp>

namespace apm::client_address {
namespace {

using apm::testing::StatusIs;
using nlohmann::json;

// Views into the strings of `list`, which must outlive them.
std::vector<std::string_view> Views(const json& list) {
  std::vector<std::string_view> views;
  for (const json& text : list) {
    views.emplace_back(text.get_ref<const std::string&>());
  }
  return views;
}

Policy PolicyOf(const json& vector) {
  Policy policy;
  policy.trust_proxy = vector.value("trust_proxy", true);
  if (vector.contains("trusted")) {
    const absl::StatusOr<TrustedPeers> trusted =
        TrustedPeers::Parse(Views(vector["trusted"]));
    EXPECT_TRUE(trusted.ok()) << trusted.status();
    policy.trusted = *trusted;
  }
  return policy;
}

std::optional<IpAddress> PeerOf(const json& vector) {
  const std::string peer = vector["peer"].get<std::string>();
  if (peer == "unix") return std::nullopt;
  const std::optional<IpAddress> address = IpAddress::Parse(peer);
  EXPECT_TRUE(address.has_value()) << peer;
  return address;
}

TEST(ClientAddressConformance, EveryVector) {
  for (const json& vector : testing::LoadVectors("client_address.json")) {
    SCOPED_TRACE(testing::CaseName(vector));
    const ClientAddress found = Resolve(PolicyOf(vector), PeerOf(vector),
                                        Views(vector["x_forwarded_for"]));
    EXPECT_EQ(found.RemoteAddress(),
              vector["remote_address"].get<std::string>());
    EXPECT_EQ(found.headers_believed, vector["believed"].get<bool>());
    EXPECT_EQ(found.malformed, vector.value("malformed", false));
  }
}

TEST(ClientAddressTest, SeparatesTheClientFromTheHops) {
  Policy policy;
  policy.trust_proxy = true;
  const std::vector<std::string_view> lines = {"203.0.113.7, 127.0.0.2"};
  const ClientAddress found =
      Resolve(policy, IpAddress::Parse("127.0.0.1"), lines);
  EXPECT_EQ(found.client, IpAddress::Parse("203.0.113.7"));
  ASSERT_EQ(found.hops.size(), 2);
  EXPECT_EQ(found.hops[0], IpAddress::Parse("127.0.0.2"));
  EXPECT_EQ(found.hops[1], IpAddress::Parse("127.0.0.1"));
}

TEST(TrustedPeersTest, NamesTheEntryThatIsWrong) {
  const std::vector<std::string_view> entries = {"10.0.0.0/8", "10.0.0.0/33"};
  const absl::Status status = TrustedPeers::Parse(entries).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(status.message(),
            "'10.0.0.0/33' is not a network: the prefix is a number from 0 to "
            "32");
}

TEST(ForwardingHeaderTest, KnowsTheFieldsThatReportAClient) {
  for (std::string_view name : {"forwarded", "x-real-ip", "x-forwarded-for",
                                "x-forwarded-proto", "x-forwarded-host"}) {
    EXPECT_TRUE(IsForwardingHeader(name)) << name;
  }
  for (std::string_view name : {"x-forwarded", "x-real-ips", "host", "via"}) {
    EXPECT_FALSE(IsForwardingHeader(name)) << name;
  }
}

}  // namespace
}  // namespace apm::client_address
