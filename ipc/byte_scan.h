// Finds the next byte that needs attention, sixteen at a time: the inner loops
// of reading and writing JSON.

#pragma once

namespace apm::ipc {

// The first byte in [from, end) that a JSON string cannot simply contain: a
// quote, a backslash, a control character, or one beyond ASCII, where UTF-8
// has to be checked. `end` if there is none.
const char* FindJsonSpecial(const char* from, const char* end);

// The first byte in [from, end) that occurs nowhere in a JSON text: a control
// character other than tab, line feed and carriage return. `end` if there is
// none.
const char* FindNonJson(const char* from, const char* end);

}  // namespace apm::ipc
