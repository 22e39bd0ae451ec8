// Text for proto3 strings, which must be UTF-8: a client refuses a message
// with any other bytes in them.

#pragma once

#include <string>
#include <string_view>

namespace apm::control {

// `bytes` with every byte that is not part of well-formed UTF-8 (RFC 3629: no
// overlong forms, no surrogates) replaced by U+FFFD.
std::string ToUtf8(std::string_view bytes);

}  // namespace apm::control
