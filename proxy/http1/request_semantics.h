// What the fields of a request mean for the connection: where the body ends,
// whether it lives on, for which host it is. The parser's second half.

#pragma once

#include <string_view>

#include "proxy/http1/request.h"

namespace apm::http1 {

// Fills host, body, content_length, keep_alive, expect_continue and upgrade of
// `request` from its fields. `authority` is that of an absolute-form target,
// else empty. Returns false and sets `error` where the fields contradict each
// other or the protocol.
bool InterpretFields(std::string_view authority, Request& request,
                     ParseError& error);

// True if `text` is uri-host [ ":" port ] with a host in it (RFC 9110 4.2.3,
// 7.2; RFC 3986 3.2.2). User information is refused (RFC 9110 4.2.4).
bool IsHost(std::string_view text);

}  // namespace apm::http1
