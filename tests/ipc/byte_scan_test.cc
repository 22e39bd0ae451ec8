#include "ipc/byte_scan.h"

#include <algorithm>
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

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

template <LetterCase kCase>
void ExpectCopiesAsFarAsItFinds() {
  constexpr char kBehind = '~';
  for (size_t size = 1; size <= 40; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'X');
        text[at] = static_cast<char>(byte);
        const char* const end = text.data() + size;
        std::string copy(size + 16, kBehind);
        const char* const special =
            CopyJsonPlain<kCase>(text.data(), end, copy.data());
        ASSERT_EQ(special, FindJsonSpecial(text.data(), end));
        std::string expected = text.substr(0, special - text.data());
        if (kCase == LetterCase::kLower) {
          std::ranges::transform(expected, expected.begin(), Lower);
        }
        ASSERT_EQ(copy.substr(0, expected.size()), expected)
            << "size " << size << ", at " << at << ", byte " << byte;
        ASSERT_EQ(copy.substr(size), std::string(16, kBehind));
      }
    }
  }
}

TEST(CopyJsonPlainTest, CopiesWhatIsBeforeTheFirstSpecialByte) {
  ExpectCopiesAsFarAsItFinds<LetterCase::kAsItIs>();
}

TEST(CopyJsonPlainTest, ChangesLettersToLowerCase) {
  ExpectCopiesAsFarAsItFinds<LetterCase::kLower>();
}

}  // namespace
}  // namespace apm::ipc
