// Whatever is parsed stays inside of its memory, and a head that parses keeps
// its meaning when its strings are written again by our own writer.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ipc/frame.h"
#include "ipc/json_writer.h"
#include "ipc/worker_head.h"

namespace apm::ipc {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

// A write with the same session and one array for every header.
std::string Rewritten(const WorkerHead& head) {
  std::string json = R"({"_command":"write","_session":)";
  AppendJsonString(head.session, json);
  for (size_t i = 0; i < head.headers.size();) {
    json += ',';
    const std::string_view name = head.headers[i].name;
    AppendJsonString(name, json);
    json += ":[";
    for (bool first = true;
         i < head.headers.size() && head.headers[i].name == name; ++i) {
      if (!first) json += ',';
      first = false;
      AppendJsonString(head.headers[i].value, json);
    }
    json += ']';
  }
  return json + "}";
}

void CheckWrite(const WorkerHead& head) {
  const std::string json = Rewritten(head);
  WorkerHeadParser again;
  Check(again.Parse(json) == HeadProblem::kNone);
  Check(again.head().session == head.session);
  Check(again.head().headers == head.headers);
}

// A head that differs from the last one in its session only is not parsed
// again: `reused` takes that way, `fresh` never does.
void CheckOtherSession(const std::string& json, WorkerHeadParser& reused) {
  const size_t at =
      static_cast<size_t>(reused.head().session.data() - json.data());
  const size_t size = reused.head().session.size();
  if (size == 0 || at > json.size()) return;  // Unescaped, or in the parser.
  for (const char c : {'z', '0', '"', '\\', '\n', '\xC3'}) {
    std::string other = json;
    other[at + size / 2] = c;
    WorkerHeadParser fresh;
    const HeadProblem problem = fresh.Parse(other);
    Check(reused.Parse(json) == HeadProblem::kNone);
    Check(reused.Parse(other) == problem);
    if (problem == HeadProblem::kNone) Check(reused.head() == fresh.head());
  }
}

}  // namespace
}  // namespace apm::ipc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace apm::ipc;
  // A copy of the exact size: reading beyond its end is seen.
  const std::string json(reinterpret_cast<const char*>(data), size);
  static WorkerHeadParser reused;  // Nothing of a head may reach the next one.
  const HeadProblem problem = reused.Parse(json);
  WorkerHeadParser fresh;
  Check(fresh.Parse(json) == problem);
  Check(reused.head().session == fresh.head().session);
  Check(reused.head().headers == fresh.head().headers);
  if (problem == HeadProblem::kNone) {
    Check(reused.head() == fresh.head());
    if (fresh.head().command == WorkerCommand::kWrite) CheckWrite(fresh.head());
    // Kept by now: its session is then a view of `json`.
    Check(reused.Parse(json) == problem);
    CheckOtherSession(json, reused);
  }
  return 0;
}
