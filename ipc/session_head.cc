#include "ipc/session_head.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/match.h>

#include "ipc/frame.h"
#include "ipc/frame_encoder.h"
#include "ipc/json_writer.h"

namespace apm::ipc {
namespace {

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()),
                                absl::string_view(b.data(), b.size()));
}

bool IsCookie(std::string_view name) { return SameName(name, "cookie"); }

// Header names are tokens (RFC 9110, 5.6.2), so that lower-casing is all they
// need, but a caller that lets others through shall not break the JSON.
void AppendLowerCaseName(std::string_view name, std::string& out) {
  const size_t start = out.size();
  AppendJsonString(name, out);
  for (size_t i = start; i < out.size(); ++i) {
    if (out[i] >= 'A' && out[i] <= 'Z')
      out[i] = static_cast<char>(out[i] | 0x20);
  }
}

// Comparing all pairs is the fastest way for the few headers of a request;
// the HTTP parsers allow 100.
void AppendHeaders(std::span<const Field> headers, std::string& out) {
  out += R"(,"headers":{)";
  bool first = true;
  for (size_t i = 0; i < headers.size(); ++i) {
    const std::string_view name = headers[i].name;
    const auto same = [name](const Field& f) { return SameName(f.name, name); };
    if (std::ranges::any_of(headers.first(i), same)) continue;  // Joined above.
    if (!first) out += ',';
    first = false;
    AppendLowerCaseName(name, out);
    out += ":\"";
    AppendJsonEscaped(headers[i].value, out);
    // Cookie is the one field whose lines are not joined by a comma (RFC
    // 9113, 8.2.3).
    const std::string_view glue = IsCookie(name) ? "; " : ", ";
    for (const Field& other : headers.subspan(i + 1)) {
      if (!same(other)) continue;
      out += glue;
      AppendJsonEscaped(other.value, out);
    }
    out += '"';
  }
  out += '}';
}

// For text that was checked elsewhere; `key` with its colon and comma.
void AppendText(std::string_view key, std::string_view text, std::string& out) {
  out += key;
  AppendJsonString(text, out);
}

// An empty text is null.
void AppendOptional(std::string_view key, std::string_view text,
                    std::string& out) {
  out += key;
  if (text.empty()) {
    out += "null";
  } else {
    AppendJsonString(text, out);
  }
}

void AppendPort(std::optional<uint16_t> port, std::string& out) {
  out += R"(,"remotePort":)";
  if (!port) {
    out += "null";
    return;
  }
  char digits[5];
  const auto end = std::to_chars(digits, digits + sizeof(digits), *port).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

void AppendAddresses(std::span<const std::string_view> addresses,
                     std::string& out) {
  out += R"(,"remoteAddress":")";
  for (size_t i = 0; i < addresses.size(); ++i) {
    if (i > 0) out += ", ";
    AppendJsonEscaped(addresses[i], out);
  }
  out += '"';
}

void AppendArray(const std::vector<std::string_view>& values,
                 std::string& out) {
  out += '[';
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(values[i], out);
  }
  out += ']';
}

// Equal names, which are adjacent, become one array.
void AppendObject(const std::vector<Field>& fields, std::string& out) {
  out += '{';
  for (size_t i = 0; i < fields.size();) {
    size_t end = i + 1;
    while (end < fields.size() && fields[end].name == fields[i].name) ++end;
    if (i > 0) out += ',';
    AppendJsonString(fields[i].name, out);
    out += end - i > 1 ? ":[" : ":";
    for (size_t k = i; k < end; ++k) {
      if (k > i) out += ',';
      AppendJsonString(fields[k].value, out);
    }
    if (end - i > 1) out += ']';
    i = end;
  }
  out += '}';
}

}  // namespace

absl::Status SessionHeadEncoder::Append(const SessionMetadata& session,
                                        HeadDetail detail, std::string& out) {
  FrameWriter frame(out);
  AppendText(R"({"_sessionId":)", session.session_id, out);
  out += R"(,"_sessionType":"new","_sessionData":)";
  out += session.session_data.empty() ? "{}" : session.session_data;
  if (session.resumed) out += R"(,"_resumed":true)";
  AppendText(R"(,"protocol":)", session.protocol, out);
  AppendOptional(R"(,"method":)", session.method.value_or(""), out);
  AppendText(R"(,"path":)", session.path, out);
  AppendText(R"(,"query":)", session.query, out);
  if (detail == HeadDetail::kFull) AppendDerived(session, out);
  AppendHeaders(session.headers, out);
  AppendAddresses(session.remote_addresses, out);
  AppendPort(session.remote_port, out);
  AppendText(R"(,"scheme":)", session.scheme, out);
  AppendOptional(R"(,"host":)", session.host, out);
  AppendOptional(R"(,"httpVersion":)", session.http_version, out);
  AppendText(R"(,"listener":)", session.listener, out);
  AppendText(R"(,"requestId":)", session.request_id, out);
  out += '}';
  return frame.Finish({});
}

void SessionHeadEncoder::AppendDerived(const SessionMetadata& session,
                                       std::string& out) {
  out += R"(,"path_array":)";
  AppendArray(parts_.ParsePath(session.path), out);
  out += R"(,"query_object":)";
  AppendObject(parts_.ParseQuery(session.query), out);
  out += R"(,"cookies":)";
  cookie_header_.clear();
  for (const Field& header : session.headers) {
    if (!IsCookie(header.name)) continue;
    if (!cookie_header_.empty()) cookie_header_ += "; ";
    cookie_header_ += header.value;
  }
  AppendObject(parts_.ParseCookies(cookie_header_), out);
}

}  // namespace apm::ipc
