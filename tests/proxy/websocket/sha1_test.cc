#include "proxy/websocket/sha1.h"

#include <string>
#include <string_view>

#include <absl/strings/escaping.h>
#include <gtest/gtest.h>

namespace apm::websocket {
namespace {

std::string HexOf(std::string_view message) {
  const auto digest = Sha1(message);
  return absl::BytesToHexString(std::string(digest.begin(), digest.end()));
}

TEST(Sha1Test, AgreesWithRfc3174) {
  EXPECT_EQ(HexOf("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(HexOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(HexOf(std::string(1000000, 'a')),
            "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Sha1Test, PadsAtEveryLengthOfTheLastBlock) {
  EXPECT_EQ(HexOf(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  // By sha1sum.
  EXPECT_EQ(HexOf(std::string(55, 'a')),
            "c1c8bbdc22796e28c0e15163d20899b65621d65a");
  EXPECT_EQ(HexOf(std::string(56, 'a')),
            "c2db330f6083854c99d4b5bfb6e8f29f201be699");
  EXPECT_EQ(HexOf(std::string(64, 'a')),
            "0098ba824b5c16427bd7a1122a5a442a25ec644d");
}

}  // namespace
}  // namespace apm::websocket
