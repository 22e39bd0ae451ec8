// Appends JSON strings to a buffer.

#pragma once

#include <string>
#include <string_view>

namespace apm::ipc {

// Appends `text` escaped, without quotes. Bytes that are no UTF-8 become
// U+FFFD, so that the result is valid whatever the input. Never writes a raw
// control character: the frame separator is one.
void AppendJsonEscaped(std::string_view text, std::string& out);

// The same in quotes.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace apm::ipc
