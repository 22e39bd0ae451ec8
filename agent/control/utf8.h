// Text for proto3 strings, which must be UTF-8: a client refuses a message
// with any other bytes in them.

#pragma once

#include <string>
#include <string_view>

namespace apm::control {

// `bytes` with what is not well-formed UTF-8 replaced by U+FFFD, as
// base/text/utf8.h counts it.
std::string ToUtf8(std::string_view bytes);

}  // namespace apm::control
