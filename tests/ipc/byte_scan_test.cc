#include "ipc/byte_scan.h"

#include <cstddef>
#include <string>

#include <gtest/gtest.h>

namespace apm::ipc {
namespace {

bool IsSpecial(int byte) {
  return byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\';
}

bool IsNonJsonByte(int byte) {
  return byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r';
}

// Every byte value at every place of texts that take the wide step, the
// narrow one, and both.
template <typename Find, typename Oracle>
void ExpectFindsLike(Find find, Oracle oracle) {
  for (size_t size = 1; size <= 40; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'x');
        text[at] = static_cast<char>(byte);
        const char* const end = text.data() + size;
        const char* const expected = oracle(byte) ? text.data() + at : end;
        ASSERT_EQ(find(text.data(), end), expected)
            << "size " << size << ", at " << at << ", byte " << byte;
      }
    }
  }
}

TEST(FindJsonSpecialTest, AgreesWithTheObviousLoop) {
  ExpectFindsLike(FindJsonSpecial, IsSpecial);
}

TEST(FindNonJsonTest, AgreesWithTheObviousLoop) {
  ExpectFindsLike(FindNonJson, IsNonJsonByte);
}

TEST(FindJsonSpecialTest, FindsTheFirstOfSeveral) {
  const std::string text = R"(0123456789abcdef01"3\5)";
  EXPECT_EQ(FindJsonSpecial(text.data(), text.data() + text.size()),
            text.data() + 18);
}

TEST(FindJsonSpecialTest, EmptyTextHasNone) {
  const char* const nothing = "";
  EXPECT_EQ(FindJsonSpecial(nothing, nothing), nothing);
}

}  // namespace
}  // namespace apm::ipc
