// Writes JSON text: escaped strings and constant pieces in between.

#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "ipc/byte_scan.h"

namespace apm::ipc {

// Appends `text` as a JSON string, in quotes. Bytes that are no UTF-8 become
// U+FFFD, so that the result is valid whatever the input. Never writes a raw
// control character: the frame separator is one.
void AppendJsonString(std::string_view text, std::string& out);

// Appends a head to `out` through a small array: a constant piece costs a few
// moves there, where std::string::append costs forty instructions, and a head
// has fifty pieces. `out` is complete after Flush().
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  // Writes `text` as it is. Inline, so that the size of a constant is known.
  void Raw(std::string_view text) {
    if (text.size() > buffer_.size() - used_) {
      Flush();
      if (text.size() > buffer_.size()) {
        out_.append(text);
        return;
      }
    }
    used_ += text.copy(buffer_.data() + used_, text.size());
  }

  // Writes `text` escaped, without quotes, by AppendJsonString's rules. Inline
  // is what nearly every text needs: nothing in it to escape.
  void Escaped(std::string_view text) {
    const size_t plain = CopyPlain<LetterCase::kAsItIs>(text);
    if (plain != text.size()) EscapeRest(text.substr(plain));
  }

  // The same with ASCII letters in lower case: for the name of a header.
  void EscapedLower(std::string_view text) {
    const size_t plain = CopyPlain<LetterCase::kLower>(text);
    if (plain != text.size()) EscapeLowerRest(text.substr(plain));
  }

  void Quoted(std::string_view text) {
    Raw("\"");
    Escaped(text);
    Raw("\"");
  }

  void Flush() {
    out_.append(buffer_.data(), used_);
    used_ = 0;
  }

 private:
  // Writes the bytes of `text` in front of the first to be escaped; how many.
  template <LetterCase kCase>
  size_t CopyPlain(std::string_view text) {
    if (text.size() > buffer_.size() - used_) {
      Flush();
      if (text.size() > buffer_.size()) return 0;
    }
    const char* const end = text.data() + text.size();
    const char* const special =
        CopyJsonPlain<kCase>(text.data(), end, buffer_.data() + used_);
    const auto plain = static_cast<size_t>(special - text.data());
    used_ += plain;
    return plain;
  }
  void EscapeRest(std::string_view text);
  void EscapeLowerRest(std::string_view text);

  std::string& out_;
  size_t used_ = 0;
  std::array<char, 1024> buffer_;
};

}  // namespace apm::ipc
