// Reads the JSON head of a frame from a worker: what it wants, of which
// session, and with which fields. README.md lists the commands.
//
//   WorkerHeadParser parser;
//   if (parser.Parse(json) == HeadProblem::kNone) {
//     Handle(parser.head());
//   }
//
// Strict about JSON (json_scanner.h), tolerant about types: a number is
// accepted where the format says string, and a string of digits where it says
// number, since workers are written in languages that do not tell them apart.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/frame.h"
#include "ipc/json_scanner.h"

namespace apm::ipc {

enum class WorkerCommand : uint8_t {
  kWrite,
  kWriteRaw,
  kCloseConnection,
  kSaveSessionData,
  kMetric,
  // Extensions.
  kHello,
  kReady,
  kLog,
  kAccept,
  kDrained,
  kAck,
};

// The name on the wire: "closeConnection".
std::string_view WorkerCommandName(WorkerCommand command);

enum class HeadProblem : uint8_t {
  kNone,
  kNotAnObject,  // Not a JSON object, whole and alone.
  kNoCommand,    // `_command` is absent or not a string.
  kUnknownCommand,
  kTooManyKeys,  // More than kMaxHeadKeys.
};

// For logs: "unknown command".
std::string_view HeadProblemText(HeadProblem problem);

// Bounds the keys of a head, of its `_trailers` and of its `labels`, and the
// fields that their arrays become.
inline constexpr size_t kMaxHeadKeys = 256;

enum class MetricType : uint8_t { kCounter, kGauge, kTiming };

// Views point into the head that was parsed or into the parser: they live
// until its next Parse(), and no longer than the head. Fields of other
// commands are empty. Absent: empty or nullopt.
struct WorkerHead {
  // A value that is there but no usable number, in x_status and code.
  static constexpr int kInvalidNumber = -1;

  WorkerCommand command = WorkerCommand::kWrite;
  std::string_view session;

  // write: `headers` are all keys that neither begin with `_` nor are
  // `dataType` or `x-status`, in order, in the worker's spelling; an array
  // gives one field an element.
  std::optional<DataType> data_type;
  std::optional<int> x_status;  // 100 to 999, or kInvalidNumber.
  std::vector<Field> headers;
  std::vector<Field> trailers;  // `_trailers`.

  // closeConnection.
  std::optional<int> code;  // 0 to 65535, or kInvalidNumber.
  std::string_view reason;

  // saveSessionData: the JSON value as it was sent, of any type.
  std::string_view session_data;

  // metric. `metric_value` is nullopt when it is no finite number.
  std::string_view metric_name;
  std::optional<double> metric_value;
  std::optional<MetricType> metric_type;
  std::vector<Field> labels;

  // hello.
  std::string_view connector;
  std::optional<uint32_t> concurrency;
  std::vector<std::string_view> features;

  // log: `log_fields` is the JSON value of `fields` as it was sent.
  std::string_view level;
  std::string_view message;
  std::string_view log_fields;

  // Values that could not be used: an object where a header is due, say.
  uint32_t ignored_fields = 0;

  friend bool operator==(const WorkerHead&, const WorkerHead&) = default;
};

// Parses heads one after another and reuses its memory between them.
//
// A worker says the same things over and over, about other sessions: "write,
// text/html", "close". So the last short heads are kept, and one that differs
// from a kept head in the characters of its session only is not parsed again.
// That takes a tenth of the instructions of parsing it.
//
// Thread-compatible.
class WorkerHeadParser {
 public:
  WorkerHeadParser() = default;
  WorkerHeadParser(const WorkerHeadParser&) = delete;
  WorkerHeadParser& operator=(const WorkerHeadParser&) = delete;

  // Parses one head. head() is complete after kNone; after kNoCommand and
  // kUnknownCommand only its session is of use, after the others nothing.
  HeadProblem Parse(std::string_view json);

  const WorkerHead& head() const { return *head_; }

 private:
  // A head and the copy of its text that it points into.
  struct Kept {
    // Is `json` this text but for the characters of the session?
    bool Matches(std::string_view json) const;

    std::string text;
    size_t session_at = 0;  // In the text; 0: not to be used again.
    WorkerHead head;
  };
  static constexpr size_t kKeptHeads = 16;
  static constexpr size_t kMaxKeptHeadBytes = 512;

  // A key of the head and its value, before the command is known.
  struct Entry {
    std::string_view key;
    JsonValue value;
  };

  HeadProblem ParseAll(std::string_view json);
  void Clear();
  bool ReadEntries(JsonScanner& scanner, std::vector<Entry>& entries,
                   bool& too_many);
  const JsonValue* Find(std::string_view key) const;
  std::string_view Text(std::string_view key);
  std::string_view Raw(std::string_view key) const;

  // Each is false if there are more than kMaxHeadKeys of something.
  bool Fill();
  bool FillWrite();
  bool FillMetric();
  bool FillHello();
  bool FillFields(const JsonValue& object, std::vector<Field>& fields);
  bool AddField(std::string_view name, const JsonValue& value,
                std::vector<Field>& fields);
  bool AddScalar(std::string_view name, const JsonValue& value,
                 std::vector<Field>& fields);
  void FillDataType(const JsonValue& value);
  void FillClose();

  std::array<Kept, kKeptHeads> kept_;  // By the size of the text.
  WorkerHead large_;            // The last one that was too long to keep.
  WorkerHead* head_ = &large_;  // What is being parsed, or was.
  std::vector<Entry> entries_;
  std::vector<Entry> nested_;    // Of `_trailers` or `labels`.
  std::vector<Field> elements_;  // Of `features`.
  std::string unescaped_;        // Backs the strings that had escapes.
};

}  // namespace apm::ipc
