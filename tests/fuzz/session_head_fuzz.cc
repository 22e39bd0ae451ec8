// Whatever a client sends, the head that tells a worker about it is one JSON
// object whose strings are UTF-8 and which holds no raw separator.
//
// The input is cut at zero bytes: path, query, then header names and values.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/frame.h"
#include "ipc/json_scanner.h"
#include "ipc/session_head.h"

namespace apm::ipc {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

std::string_view TakePart(std::string_view& input) {
  const size_t end = std::min(input.find('\0'), input.size());
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

void CheckHead(const SessionMetadata& session, HeadDetail detail) {
  static SessionHeadEncoder encoder;  // Its memory is reused.
  std::string out = "before";
  if (!encoder.Append(session, detail, out).ok()) {
    Check(out == "before");
    return;
  }
  Check(out.ends_with(kFrameSeparator));
  const std::string_view head = std::string_view(out).substr(
      6 + kFramePrefixBytes, out.size() - 6 - kFramePrefixBytes - 1);
  Check(head.find(kFrameSeparator) == std::string_view::npos);
  std::string unescaped;
  unescaped.reserve(head.size());
  JsonScanner scanner(head, unescaped);
  JsonValue value;
  Check(scanner.ReadValue(value) && scanner.AtEnd());
  Check(value.type == JsonType::kObject);
}

}  // namespace
}  // namespace apm::ipc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace apm::ipc;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  SessionMetadata session;
  session.session_id = "s1";
  session.protocol = "http";
  session.method = "GET";
  session.path = TakePart(input);
  session.query = TakePart(input);
  std::vector<Field> headers;
  while (!input.empty() && headers.size() < 100) {
    const std::string_view name = TakePart(input);
    headers.push_back({name, TakePart(input)});
  }
  session.headers = headers;
  CheckHead(session, HeadDetail::kFull);
  CheckHead(session, HeadDetail::kLean);
  return 0;
}
