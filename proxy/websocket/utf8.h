// Checks UTF-8 that arrives in pieces (RFC 3629).

#pragma once

#include <cstdint>
#include <string_view>

namespace apm::websocket {

// Refuses a wrong byte when it comes, not when the text ends: overlong forms,
// surrogates and code points above U+10FFFF included.
class Utf8Validator {
 public:
  // False, for good, at the first byte that no valid text can have here.
  bool Feed(std::string_view bytes);

  // True if the text may end here: not inside a character.
  bool AtBoundary() const { return state_ == 0; }

 private:
  uint32_t state_ = 0;
};

}  // namespace apm::websocket
