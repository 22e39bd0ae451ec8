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
    const char* const end = text.data() + text.size();
    const char* const special = FindJsonSpecial(text.data(), end);
    Raw(text.substr(0, static_cast<size_t>(special - text.data())));
    if (special != end) EscapedFrom(special, end);
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
  void EscapedFrom(const char* special, const char* end);

  std::string& out_;
  size_t used_ = 0;
  std::array<char, 1024> buffer_;
};

}  // namespace apm::ipc
