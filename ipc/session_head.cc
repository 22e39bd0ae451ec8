// The keys are constants with their punctuation: each piece begins with the
// quote that ends the value before it and ends with the one that begins its
// own value.

#include "ipc/session_head.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "ipc/frame.h"
#include "ipc/frame_encoder.h"
#include "ipc/json_writer.h"

namespace apm::ipc {
namespace {

char ToLower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::ranges::equal(a, b, {}, ToLower, ToLower);
}

// Equal for names that differ in case only, and for few others.
uint32_t Fingerprint(std::string_view name) {
  if (name.empty()) return 0;
  return static_cast<uint32_t>(name.size()) << 16 |
         static_cast<uint32_t>(name.front() & 0x1F) << 8 |
         static_cast<uint32_t>(name.back() & 0x1F);
}

// One of 64 bits, by its high bits multiplied apart.
uint64_t BitOf(uint32_t fingerprint) {
  return uint64_t{1} << ((fingerprint * 0x9E3779B1u) >> 26);
}

bool IsCookie(std::string_view name) { return SameName(name, "cookie"); }

// An empty text is null.
void WriteOptional(std::string_view text, JsonWriter& json) {
  if (text.empty()) {
    json.Raw("null");
  } else {
    json.Quoted(text);
  }
}

void WritePort(std::optional<uint16_t> port, JsonWriter& json) {
  if (!port) {
    json.Raw("null");
    return;
  }
  char digits[5];
  const auto end = std::to_chars(digits, digits + sizeof(digits), *port).ptr;
  json.Raw(std::string_view(digits, static_cast<size_t>(end - digits)));
}

void WriteAddresses(std::span<const std::string_view> addresses,
                    JsonWriter& json) {
  for (size_t i = 0; i < addresses.size(); ++i) {
    if (i > 0) json.Raw(", ");
    json.Escaped(addresses[i]);
  }
}

void WriteArray(const std::vector<std::string_view>& values, JsonWriter& json) {
  json.Raw("[");
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) json.Raw(",");
    json.Quoted(values[i]);
  }
  json.Raw("]");
}

// Equal names, which are adjacent, become one array.
void WriteObject(const std::vector<Field>& fields, JsonWriter& json) {
  json.Raw("{");
  for (size_t i = 0; i < fields.size();) {
    size_t end = i + 1;
    while (end < fields.size() && fields[end].name == fields[i].name) ++end;
    if (i > 0) json.Raw(",");
    json.Quoted(fields[i].name);
    json.Raw(end - i > 1 ? ":[" : ":");
    for (size_t k = i; k < end; ++k) {
      if (k > i) json.Raw(",");
      json.Quoted(fields[k].value);
    }
    if (end - i > 1) json.Raw("]");
    i = end;
  }
  json.Raw("}");
}

}  // namespace

absl::Status SessionHeadEncoder::Append(const SessionMetadata& session,
                                        HeadDetail detail, std::string& out) {
  FrameWriter frame(out);
  JsonWriter json(out);
  json.Raw(R"({"_sessionId":")");
  json.Escaped(session.session_id);
  json.Raw(R"(","_sessionType":"new","_sessionData":)");
  json.Raw(session.session_data.empty() ? "{}" : session.session_data);
  if (session.resumed) json.Raw(R"(,"_resumed":true)");
  json.Raw(R"(,"protocol":")");
  json.Escaped(session.protocol);
  json.Raw(R"(","method":)");
  WriteOptional(session.method.value_or(""), json);
  json.Raw(R"(,"path":")");
  json.Escaped(session.path);
  json.Raw(R"(","query":")");
  json.Escaped(session.query);
  json.Raw(R"(",)");
  if (detail == HeadDetail::kFull) WriteDerived(session, json);
  json.Raw(R"("headers":{)");
  WriteHeaders(session.headers, json);
  json.Raw(R"(},"remoteAddress":")");
  WriteAddresses(session.remote_addresses, json);
  json.Raw(R"(","remotePort":)");
  WritePort(session.remote_port, json);
  json.Raw(R"(,"scheme":")");
  json.Escaped(session.scheme);
  json.Raw(R"(","host":)");
  WriteOptional(session.host, json);
  json.Raw(R"(,"httpVersion":)");
  WriteOptional(session.http_version, json);
  json.Raw(R"(,"listener":")");
  json.Escaped(session.listener);
  json.Raw(R"(","requestId":")");
  json.Escaped(session.request_id);
  json.Raw(R"("})");
  json.Flush();
  return frame.Finish({});
}

// A header is compared with the others only if one of them has its bit: few
// do, since names are few, and to compare all pairs took an eighth of a head.
void SessionHeadEncoder::WriteHeaders(std::span<const Field> headers,
                                      JsonWriter& json) {
  fingerprints_.clear();
  uint64_t seen = 0;
  uint64_t shared = 0;  // By two headers or more.
  for (const Field& header : headers) {
    fingerprints_.push_back(Fingerprint(header.name));
    const uint64_t bit = BitOf(fingerprints_.back());
    shared |= seen & bit;
    seen |= bit;
  }
  std::string_view before = "\"";
  for (size_t i = 0; i < headers.size(); ++i) {
    const bool alone = (shared & BitOf(fingerprints_[i])) == 0;
    const std::string_view name = headers[i].name;
    if (!alone && NextOfName(name, headers.first(i), 0) != i) {
      continue;  // Joined before.
    }
    json.Raw(before);
    before = ",\"";
    json.EscapedLower(name);
    json.Raw("\":\"");
    json.Escaped(headers[i].value);
    if (!alone) JoinRest(headers, i, json);
    json.Raw("\"");
  }
}

void SessionHeadEncoder::JoinRest(std::span<const Field> headers, size_t first,
                                  JsonWriter& json) {
  const std::string_view name = headers[first].name;
  for (size_t i = NextOfName(name, headers, first + 1); i != headers.size();
       i = NextOfName(name, headers, i + 1)) {
    // Cookie is the one field whose lines are not joined by a comma (RFC
    // 9113, 8.2.3).
    json.Raw(IsCookie(name) ? "; " : ", ");
    json.Escaped(headers[i].value);
  }
}

size_t SessionHeadEncoder::NextOfName(std::string_view name,
                                      std::span<const Field> headers,
                                      size_t from) const {
  const uint32_t fingerprint = Fingerprint(name);
  while (from < headers.size() && (fingerprints_[from] != fingerprint ||
                                   !SameName(headers[from].name, name))) {
    ++from;
  }
  return from;
}

void SessionHeadEncoder::WriteDerived(const SessionMetadata& session,
                                      JsonWriter& json) {
  json.Raw(R"("path_array":)");
  WriteArray(parts_.ParsePath(session.path), json);
  json.Raw(R"(,"query_object":)");
  WriteObject(parts_.ParseQuery(session.query), json);
  json.Raw(R"(,"cookies":)");
  cookie_header_.clear();
  for (const Field& header : session.headers) {
    if (!IsCookie(header.name)) continue;
    if (!cookie_header_.empty()) cookie_header_ += "; ";
    cookie_header_ += header.value;
  }
  WriteObject(parts_.ParseCookies(cookie_header_), json);
  json.Raw(",");
}

}  // namespace apm::ipc
