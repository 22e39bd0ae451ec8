// Text of others on our terminal: control characters could move the cursor,
// change the title or forge a line.

#pragma once

#include <string>
#include <string_view>

namespace apm::ctl {

// `text` with every control character but tab and newline as "\x1b". Takes
// UTF-8: bytes from 0x80 pass, except the C1 controls (C2 80 .. C2 9F).
std::string Printable(std::string_view text);

}  // namespace apm::ctl
