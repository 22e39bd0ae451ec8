// Two steps, since `_command` may come last: the one pass over the JSON
// collects keys and values as views, then the command says what they mean.

#include "ipc/worker_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <absl/strings/match.h>

#include "ipc/byte_scan.h"
#include "ipc/json_scanner.h"

namespace apm::ipc {
namespace {

// What a parser keeps between heads at most.
constexpr size_t kKeptBytes = size_t{64} << 10;

struct NamedCommand {
  std::string_view name;
  WorkerCommand command;
};

// In the order of the enum, frequent ones first.
constexpr std::array<NamedCommand, 11> kCommands = {{
    {"write", WorkerCommand::kWrite},
    {"writeRaw", WorkerCommand::kWriteRaw},
    {"closeConnection", WorkerCommand::kCloseConnection},
    {"saveSessionData", WorkerCommand::kSaveSessionData},
    {"metric", WorkerCommand::kMetric},
    {"hello", WorkerCommand::kHello},
    {"ready", WorkerCommand::kReady},
    {"log", WorkerCommand::kLog},
    {"accept", WorkerCommand::kAccept},
    {"drained", WorkerCommand::kDrained},
    {"ack", WorkerCommand::kAck},
}};

std::optional<WorkerCommand> FindCommand(std::string_view name) {
  const auto* found = std::ranges::find(kCommands, name, &NamedCommand::name);
  if (found == kCommands.end()) return std::nullopt;
  return found->command;
}

std::optional<MetricType> FindMetricType(std::string_view name) {
  if (name == "counter") return MetricType::kCounter;
  if (name == "gauge") return MetricType::kGauge;
  if (name == "timing") return MetricType::kTiming;
  return std::nullopt;
}

// Values that serve where the format says string.
bool IsText(const JsonValue& value) {
  return value.type == JsonType::kString || value.type == JsonType::kNumber ||
         value.type == JsonType::kBool;
}

bool IsStatusKey(std::string_view key) {
  return absl::EqualsIgnoreCase(absl::string_view(key.data(), key.size()),
                                "x-status");
}

// All of `text` as one to five digits, from min to max; else kInvalidNumber.
int ParseDigits(std::string_view text, int min, int max) {
  if (text.empty() || text.size() > 5) return WorkerHead::kInvalidNumber;
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return WorkerHead::kInvalidNumber;
    number = number * 10 + (c - '0');
  }
  return number >= min && number <= max ? number : WorkerHead::kInvalidNumber;
}

std::optional<double> ParseFinite(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end || !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::string_view WorkerCommandName(WorkerCommand command) {
  return kCommands[static_cast<size_t>(command)].name;
}

std::string_view HeadProblemText(HeadProblem problem) {
  switch (problem) {
    case HeadProblem::kNone:
      return "no problem";
    case HeadProblem::kNotAnObject:
      return "head is not a JSON object";
    case HeadProblem::kNoCommand:
      return "head has no '_command'";
    case HeadProblem::kUnknownCommand:
      return "unknown '_command'";
    case HeadProblem::kTooManyKeys:
      return "head has too many keys";
  }
  return "";
}

bool WorkerHeadParser::Kept::Matches(std::string_view json) const {
  if (session_at == 0 || json.size() != text.size()) return false;
  const char* const session = json.data() + session_at;
  const char* const session_end = session + head.session.size();
  const size_t rest_at = session_at + head.session.size();
  return memcmp(json.data(), text.data(), session_at) == 0 &&
         memcmp(session_end, text.data() + rest_at, text.size() - rest_at) ==
             0 &&
         FindJsonSpecial(session, session_end) == session_end;
}

HeadProblem WorkerHeadParser::Parse(std::string_view json) {
  if (json.size() > kMaxKeptHeadBytes) {
    head_ = &large_;
    return ParseAll(json);
  }
  Kept& kept = kept_[json.size() % kKeptHeads];
  head_ = &kept.head;
  if (kept.Matches(json)) {
    head_->session = json.substr(kept.session_at, head_->session.size());
    return HeadProblem::kNone;
  }
  kept.session_at = 0;
  kept.text.assign(json);
  const HeadProblem problem = ParseAll(kept.text);
  // What was unescaped is not in the text, and gone with the next head. A
  // session that is a number has no quotes around it: other digits might make
  // it none.
  if (problem == HeadProblem::kNone && unescaped_.empty() &&
      !head_->session.empty()) {
    const char* const session = head_->session.data();
    if (session[-1] == '"') {
      kept.session_at = static_cast<size_t>(session - kept.text.data());
    }
  }
  return problem;
}

HeadProblem WorkerHeadParser::ParseAll(std::string_view json) {
  Clear();
  // Room for all that could be decoded: what is written must not move.
  if (json.find('\\') != std::string_view::npos) {
    unescaped_.reserve(json.size());
  }
  JsonScanner scanner(json, unescaped_);
  bool too_many = false;
  if (!ReadEntries(scanner, entries_, too_many) || !scanner.AtEnd()) {
    return HeadProblem::kNotAnObject;
  }
  if (too_many) return HeadProblem::kTooManyKeys;

  head_->session = Text("_session");
  const JsonValue* command = Find("_command");
  if (command == nullptr || command->type != JsonType::kString) {
    return HeadProblem::kNoCommand;
  }
  const std::optional<WorkerCommand> known = FindCommand(command->text);
  if (!known) return HeadProblem::kUnknownCommand;
  head_->command = *known;
  return Fill() ? HeadProblem::kNone : HeadProblem::kTooManyKeys;
}

void WorkerHeadParser::Clear() {
  entries_.clear();
  unescaped_.clear();
  if (unescaped_.capacity() > kKeptBytes) unescaped_.shrink_to_fit();
  // Assigning a new head would free the lists.
  WorkerHead empty;
  empty.headers.swap(head_->headers);
  empty.trailers.swap(head_->trailers);
  empty.labels.swap(head_->labels);
  empty.features.swap(head_->features);
  empty.headers.clear();
  empty.trailers.clear();
  empty.labels.clear();
  empty.features.clear();
  *head_ = std::move(empty);
}

// The last of equal keys counts, in the place of the first. Reads on when
// there are too many, because the frame's plausibility hangs on the rest.
bool WorkerHeadParser::ReadEntries(JsonScanner& scanner,
                                   std::vector<Entry>& entries,
                                   bool& too_many) {
  if (!scanner.EnterObject()) return false;
  for (;;) {
    Entry entry;
    bool more = false;
    if (!scanner.NextKey(entry.key, more)) return false;
    if (!more) return true;
    if (!scanner.ReadValue(entry.value)) return false;
    if (too_many) continue;
    const auto same = std::ranges::find(entries, entry.key, &Entry::key);
    if (same != entries.end()) {
      same->value = entry.value;
    } else if (entries.size() < kMaxHeadKeys) {
      entries.push_back(entry);
    } else {
      too_many = true;
    }
  }
}

const JsonValue* WorkerHeadParser::Find(std::string_view key) const {
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  return found == entries_.end() ? nullptr : &found->value;
}

std::string_view WorkerHeadParser::Text(std::string_view key) {
  const JsonValue* value = Find(key);
  if (value == nullptr || value->type == JsonType::kNull) return {};
  if (IsText(*value)) return value->text;
  ++head_->ignored_fields;
  return {};
}

std::string_view WorkerHeadParser::Raw(std::string_view key) const {
  const JsonValue* value = Find(key);
  return value == nullptr ? std::string_view() : value->raw;
}

bool WorkerHeadParser::Fill() {
  switch (head_->command) {
    case WorkerCommand::kWrite:
      return FillWrite();
    case WorkerCommand::kCloseConnection:
      FillClose();
      return true;
    case WorkerCommand::kSaveSessionData:
      head_->session_data = Raw("_sessionData");
      return true;
    case WorkerCommand::kMetric:
      return FillMetric();
    case WorkerCommand::kHello:
      return FillHello();
    case WorkerCommand::kLog:
      head_->level = Text("level");
      head_->message = Text("message");
      head_->log_fields = Raw("fields");
      return true;
    case WorkerCommand::kWriteRaw:
    case WorkerCommand::kReady:
    case WorkerCommand::kAccept:
    case WorkerCommand::kDrained:
    case WorkerCommand::kAck:
      return true;
  }
  return true;
}

bool WorkerHeadParser::FillWrite() {
  for (const Entry& entry : entries_) {
    if (entry.key == "_trailers") {
      if (!FillFields(entry.value, head_->trailers)) return false;
    } else if (entry.key.starts_with('_')) {
      continue;
    } else if (entry.key == "dataType") {
      FillDataType(entry.value);
    } else if (IsStatusKey(entry.key)) {
      if (entry.value.type == JsonType::kNull) continue;
      head_->x_status = IsText(entry.value)
                            ? ParseDigits(entry.value.text, 100, 999)
                            : WorkerHead::kInvalidNumber;
    } else if (!AddField(entry.key, entry.value, head_->headers)) {
      return false;
    }
  }
  return true;
}

void WorkerHeadParser::FillDataType(const JsonValue& value) {
  if (value.text == "text") {
    head_->data_type = DataType::kText;
  } else if (value.text == "binary") {
    head_->data_type = DataType::kBinary;
  } else {
    ++head_->ignored_fields;
  }
}

void WorkerHeadParser::FillClose() {
  const JsonValue* code = Find("code");
  if (code != nullptr && code->type != JsonType::kNull) {
    head_->code = IsText(*code) ? ParseDigits(code->text, 0, 65535)
                                : WorkerHead::kInvalidNumber;
  }
  head_->reason = Text("_reason");
}

bool WorkerHeadParser::FillMetric() {
  head_->metric_name = Text("name");
  head_->metric_value = ParseFinite(Text("value"));
  head_->metric_type = FindMetricType(Text("type"));
  const JsonValue* labels = Find("labels");
  return labels == nullptr || FillFields(*labels, head_->labels);
}

bool WorkerHeadParser::FillHello() {
  head_->connector = Text("connector");
  const int concurrency = ParseDigits(Text("concurrency"), 1, 65535);
  if (concurrency != WorkerHead::kInvalidNumber) {
    head_->concurrency = static_cast<uint32_t>(concurrency);
  }
  const JsonValue* features = Find("features");
  if (features == nullptr) return true;
  elements_.clear();
  if (!AddField("", *features, elements_)) return false;
  for (const Field& element : elements_) {
    head_->features.push_back(element.value);
  }
  return true;
}

bool WorkerHeadParser::FillFields(const JsonValue& object,
                                  std::vector<Field>& fields) {
  if (object.type != JsonType::kObject) {
    ++head_->ignored_fields;
    return true;
  }
  nested_.clear();
  JsonScanner scanner(object.text, unescaped_);
  bool too_many = false;
  if (!ReadEntries(scanner, nested_, too_many) || too_many) return false;
  for (const Entry& entry : nested_) {
    if (!AddField(entry.key, entry.value, fields)) return false;
  }
  return true;
}

bool WorkerHeadParser::AddField(std::string_view name, const JsonValue& value,
                                std::vector<Field>& fields) {
  if (value.type != JsonType::kArray) return AddScalar(name, value, fields);
  JsonScanner scanner(value.text, unescaped_);
  bool more = scanner.EnterArray();
  while (more) {
    JsonValue element;
    if (!scanner.NextElement(more)) return false;
    if (!more) break;
    if (!scanner.ReadValue(element)) return false;
    if (!AddScalar(name, element, fields)) return false;
  }
  return true;
}

bool WorkerHeadParser::AddScalar(std::string_view name, const JsonValue& value,
                                 std::vector<Field>& fields) {
  if (!IsText(value)) {
    ++head_->ignored_fields;
    return true;
  }
  if (fields.size() == kMaxHeadKeys) return false;
  fields.push_back({name, value.text});
  return true;
}

}  // namespace apm::ipc
