// Reads JSON once, front to back, without building a tree.
//
//   JsonScanner scanner(text, unescaped);
//   JsonValue value;
//   if (!scanner.ReadValue(value) || !scanner.AtEnd()) return kNotJson;
//
// Strict RFC 8259: UTF-8 is checked, no raw control characters in strings,
// a value nests up to kMaxJsonDepth levels. Duplicate keys are the caller's
// business. A lone surrogate escape, which the grammar allows and no UTF-8 can
// express, becomes U+FFFD. Does not convert numbers.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace apm::ipc {

// json_encode() of PHP writes up to 512 levels unless told otherwise.
inline constexpr size_t kMaxJsonDepth = 512;

enum class JsonType : uint8_t {
  kNull,
  kBool,
  kNumber,
  kString,
  kArray,
  kObject
};

struct JsonValue {
  JsonType type = JsonType::kNull;
  std::string_view raw;   // As it stands in the input.
  std::string_view text;  // A string without quotes and escapes; else `raw`.
};

// Thread-compatible. After a read returned false the scanner is not used again.
class JsonScanner {
 public:
  // Strings with escapes are decoded to the end of `unescaped`, all others
  // are views into `text`. REQUIRES: unescaped's capacity minus its size is
  // at least text.size(), so that its views stay valid; or `text` has no
  // backslash.
  JsonScanner(std::string_view text, std::string& unescaped);

  // Reads any value. Arrays and objects are checked and returned whole.
  [[nodiscard]] bool ReadValue(JsonValue& value);

  // Steps into an object or array: EnterObject(), then for each member
  // NextKey() and ReadValue(); EnterArray(), then for each NextElement() and
  // ReadValue(). `more` is false after the closing bracket.
  [[nodiscard]] bool EnterObject();
  [[nodiscard]] bool NextKey(std::string_view& key, bool& more);
  [[nodiscard]] bool EnterArray();
  [[nodiscard]] bool NextElement(bool& more);

  // True if nothing but white space is left.
  bool AtEnd();

 private:
  void SkipSpace() {
    while (at_ != end_ && IsSpace(*at_)) ++at_;
  }
  bool Accept(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  static bool IsSpace(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
  }
  bool AcceptWord(std::string_view word);
  bool SkipPlain();  // To the next quote or backslash of a string.
  bool ReadString(std::string_view& string);
  bool ReadEscape();
  bool ReadUnicodeEscape();
  bool SkipString();
  bool SkipDigits();
  bool SkipNumber();
  bool SkipScalar();
  bool SkipKey();
  bool SkipNested();

  const char* at_;
  const char* end_;
  std::string& unescaped_;
  bool first_ = false;  // No member of the open bracket has been read yet.
};

}  // namespace apm::ipc
