// A header field, and the rules for its bytes (RFC 9110 5.1, 5.5; RFC 9112 5).
//
// Shared by the request head, the trailers of a chunked body and the heads we
// write, so that what we refuse to read we also refuse to send.

#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace apm::http1 {

// Views into somebody else's buffer.
struct Field {
  std::string_view name;
  std::string_view value;
};

// True if `bytes` is a token: field names, methods (RFC 9110 5.6.2).
bool IsToken(std::string_view bytes);

// True if `bytes` may stand in a field value: visible ASCII, obs-text, space
// and tab. CR, LF, NUL and every other control byte end a line or a string for
// somebody down the road, so they never pass (RFC 9110 5.5).
bool IsFieldValue(std::string_view bytes);

// ASCII only: what HTTP calls case-insensitive never means a locale.
bool EqualsIgnoringCase(std::string_view a, std::string_view b);

// Calls `visit(element)` for each element of a comma-separated list, without
// the white space around it; empty elements are visited too.
template <typename Visitor>
void ForEachListElement(std::string_view list, Visitor visit);

// Removes spaces and tabs at both ends (OWS, RFC 9110 5.6.3).
inline std::string_view TrimWhitespace(std::string_view bytes);

// Splits one line, without its CRLF, into name and value, turning the name to
// lower case in place. Returns nullptr and sets `field`, or says why the line
// is refused, with `field` untouched:  no colon, a name that is not a token
// (white space before the colon is the classic of request smuggling, RFC 9112
// 5.1), white space in front (obs-fold, 5.2), a control byte in the value.
const char* ParseFieldLine(std::span<char> line, Field& field);

// Implementation only below.

inline std::string_view TrimWhitespace(std::string_view bytes) {
  const auto is_whitespace = [](char c) { return c == ' ' || c == '\t'; };
  const char* begin = bytes.data();
  const char* end = begin + bytes.size();
  while (begin != end && is_whitespace(*begin)) ++begin;
  while (begin != end && is_whitespace(end[-1])) --end;
  return {begin, static_cast<size_t>(end - begin)};
}

template <typename Visitor>
void ForEachListElement(std::string_view list, Visitor visit) {
  for (;;) {
    const size_t comma = list.find(',');
    visit(TrimWhitespace(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace apm::http1
