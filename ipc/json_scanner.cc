#include "ipc/json_scanner.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/text/utf8.h"
#include "ipc/byte_scan.h"

namespace apm::ipc {
namespace {

constexpr uint32_t kReplacementCodePoint = 0xFFFD;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// -1 if `c` is no hex digit.
int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Four hex digits at `from`, or -1.
int ReadHex4(const char* from, const char* end) {
  if (end - from < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = HexDigit(from[i]);
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

bool IsHighSurrogate(uint32_t unit) { return (unit & 0xFC00) == 0xD800; }
bool IsLowSurrogate(uint32_t unit) { return (unit & 0xFC00) == 0xDC00; }

void AppendUtf8(uint32_t code_point, std::string& out) {
  const auto put = [&out](uint32_t byte) {
    out.push_back(static_cast<char>(byte));
  };
  if (code_point < 0x80) {
    put(code_point);
    return;
  }
  if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      put(0xE0 | code_point >> 12);
    } else {
      put(0xF0 | code_point >> 18);
      put(0x80 | (code_point >> 12 & 0x3F));
    }
    put(0x80 | (code_point >> 6 & 0x3F));
  }
  put(0x80 | (code_point & 0x3F));
}

// What a one-letter escape stands for, or NUL if there is no such escape.
char SimpleEscape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

// The brackets that are open: a bit each, so that hostile nesting costs
// neither recursion nor memory.
class Brackets {
 public:
  // False if there are too many.
  bool Open(bool object) {
    if (depth_ == kMaxJsonDepth) return false;
    const uint64_t bit = uint64_t{1} << (depth_ % 64);
    uint64_t& word = is_object_[depth_ / 64];
    word = object ? word | bit : word & ~bit;
    ++depth_;
    return true;
  }
  void Close() { --depth_; }
  bool Empty() const { return depth_ == 0; }
  bool InObject() const {
    const size_t top = depth_ - 1;
    return (is_object_[top / 64] >> (top % 64) & 1) != 0;
  }

 private:
  std::array<uint64_t, kMaxJsonDepth / 64> is_object_{};
  size_t depth_ = 0;
};

}  // namespace

JsonScanner::JsonScanner(std::string_view text, std::string& unescaped)
    : at_(text.data()), end_(at_ + text.size()), unescaped_(unescaped) {}

bool JsonScanner::ReadValue(JsonValue& value) {
  SkipSpace();
  if (at_ == end_) return false;
  const char* const from = at_;
  bool valid = false;
  switch (*at_) {
    case '"':
      value.type = JsonType::kString;
      valid = ReadString(value.text);
      break;
    case '{':
      value.type = JsonType::kObject;
      valid = SkipNested();
      break;
    case '[':
      value.type = JsonType::kArray;
      valid = SkipNested();
      break;
    case 't':
    case 'f':
      value.type = JsonType::kBool;
      valid = SkipScalar();
      break;
    case 'n':
      value.type = JsonType::kNull;
      valid = SkipScalar();
      break;
    default:
      value.type = JsonType::kNumber;
      valid = SkipScalar();
  }
  value.raw = std::string_view(from, static_cast<size_t>(at_ - from));
  if (value.type != JsonType::kString) value.text = value.raw;
  return valid;
}

bool JsonScanner::EnterObject() {
  SkipSpace();
  first_ = true;
  return Accept('{');
}

bool JsonScanner::NextKey(std::string_view& key, bool& more) {
  SkipSpace();
  more = !Accept('}');
  const bool needs_comma = !first_;
  first_ = false;
  if (!more) return true;
  if (needs_comma && !Accept(',')) return false;
  SkipSpace();
  if (!ReadString(key)) return false;
  SkipSpace();
  return Accept(':');
}

bool JsonScanner::EnterArray() {
  SkipSpace();
  first_ = true;
  return Accept('[');
}

bool JsonScanner::NextElement(bool& more) {
  SkipSpace();
  more = !Accept(']');
  const bool needs_comma = !first_;
  first_ = false;
  return !more || !needs_comma || Accept(',');
}

bool JsonScanner::AtEnd() {
  SkipSpace();
  return at_ == end_;
}

bool JsonScanner::AcceptWord(std::string_view word) {
  const std::string_view rest(at_, static_cast<size_t>(end_ - at_));
  if (!rest.starts_with(word)) return false;
  at_ += word.size();
  return true;
}

bool JsonScanner::SkipPlain() {
  for (;;) {
    at_ = FindJsonSpecial(at_, end_);
    if (at_ == end_) return false;  // A string without its end.
    if (static_cast<uint8_t>(*at_) < 0x80) break;
    const Utf8Sequence sequence = ReadUtf8(at_, end_);
    if (!sequence.valid) return false;
    at_ += sequence.bytes;
  }
  return *at_ == '"' || *at_ == '\\';
}

bool JsonScanner::ReadString(std::string_view& string) {
  if (!Accept('"')) return false;
  const char* from = at_;
  if (!SkipPlain()) return false;
  if (*at_ == '"') {
    string = std::string_view(from, static_cast<size_t>(at_ - from));
    ++at_;
    return true;
  }
  const size_t start = unescaped_.size();
  for (;;) {
    unescaped_.append(from, static_cast<size_t>(at_ - from));
    if (Accept('"')) break;
    if (!ReadEscape()) return false;
    from = at_;
    if (!SkipPlain()) return false;
  }
  string = std::string_view(unescaped_).substr(start);
  return true;
}

bool JsonScanner::ReadEscape() {
  ++at_;  // The backslash.
  if (Accept('u')) return ReadUnicodeEscape();
  if (at_ == end_) return false;
  const char c = SimpleEscape(*at_++);
  unescaped_.push_back(c);
  return c != '\0';
}

bool JsonScanner::ReadUnicodeEscape() {
  const int unit = ReadHex4(at_, end_);
  if (unit < 0) return false;
  at_ += 4;
  auto code_point = static_cast<uint32_t>(unit);
  if (IsHighSurrogate(code_point) && end_ - at_ >= 6 && at_[0] == '\\' &&
      at_[1] == 'u') {
    const int next = ReadHex4(at_ + 2, end_);
    if (next < 0) return false;
    const auto low = static_cast<uint32_t>(next);
    if (IsLowSurrogate(low)) {
      at_ += 6;
      code_point = 0x10000 + ((code_point & 0x3FF) << 10) + (low & 0x3FF);
    }
  }
  if (IsHighSurrogate(code_point) || IsLowSurrogate(code_point)) {
    code_point = kReplacementCodePoint;
  }
  AppendUtf8(code_point, unescaped_);
  return true;
}

bool JsonScanner::SkipString() {
  if (!Accept('"')) return false;
  for (;;) {
    if (!SkipPlain()) return false;
    if (Accept('"')) return true;
    ++at_;  // The backslash.
    if (Accept('u')) {
      if (ReadHex4(at_, end_) < 0) return false;
      at_ += 4;
    } else if (at_ == end_ || SimpleEscape(*at_++) == '\0') {
      return false;
    }
  }
}

bool JsonScanner::SkipDigits() {
  const char* const from = at_;
  while (at_ != end_ && IsDigit(*at_)) ++at_;
  return at_ != from;
}

bool JsonScanner::SkipNumber() {
  Accept('-');
  if (!Accept('0') && !SkipDigits()) return false;
  if (Accept('.') && !SkipDigits()) return false;
  if (Accept('e') || Accept('E')) {
    if (!Accept('+')) Accept('-');
    return SkipDigits();
  }
  return true;
}

bool JsonScanner::SkipScalar() {
  if (at_ == end_) return false;
  switch (*at_) {
    case '"':
      return SkipString();
    case 't':
      return AcceptWord("true");
    case 'f':
      return AcceptWord("false");
    case 'n':
      return AcceptWord("null");
    default:
      return SkipNumber();
  }
}

bool JsonScanner::SkipKey() {
  SkipSpace();
  if (!SkipString()) return false;
  SkipSpace();
  return Accept(':');
}

bool JsonScanner::SkipNested() {
  Brackets open;
  for (;;) {
    // Here a value is due.
    SkipSpace();
    bool complete = true;
    if (Accept('{')) {
      if (!open.Open(/*object=*/true)) return false;
      SkipSpace();
      complete = Accept('}');
      if (!complete && !SkipKey()) return false;
      if (complete) open.Close();
    } else if (Accept('[')) {
      if (!open.Open(/*object=*/false)) return false;
      SkipSpace();
      complete = Accept(']');
      if (complete) open.Close();
    } else if (!SkipScalar()) {
      return false;
    }
    // After a value: its brackets may close, or the next one is due.
    while (complete) {
      if (open.Empty()) return true;
      SkipSpace();
      if (Accept(',')) {
        if (open.InObject() && !SkipKey()) return false;
        complete = false;
      } else if (Accept(open.InObject() ? '}' : ']')) {
        open.Close();
      } else {
        return false;
      }
    }
  }
}

}  // namespace apm::ipc
