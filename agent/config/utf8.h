// Foreign text, made fit to be shown.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace apm::config {

// Bytes of the character at the start of `text`; 0 if it is no UTF-8 (RFC 3629
// section 4), a control character other than tab, CR and LF, or nothing.
size_t CharacterBytes(std::string_view text);

// Whether `c` is inside of a character, not its first byte.
bool IsContinuation(char c);

// Characters in `text`, which is UTF-8.
size_t CountCharacters(std::string_view text);

// `text` with '?' for every byte that CharacterBytes refuses, and for CR and
// LF: what is shown stays one line, and as many bytes long.
std::string Printable(std::string_view text);

// Printable, and cut with "..." if it is long: for a value in a message.
std::string Quotable(std::string_view text);

}  // namespace apm::config
