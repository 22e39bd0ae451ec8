#include "agent/events/event_codec.h"

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <absl/time/time.h>

namespace apm::events {
namespace {

constexpr uint8_t kVersion = 1;

static_assert(kMaxTailLines * (kMaxTailLineBytes + 4) + kMaxTextBytes +
                  4 * (kMaxNameBytes + 4) + 128 <=
              kMaxRecordBytes);

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <typename Number>
  void Put(Number value) {
    static_assert(std::is_integral_v<Number>);
    char bytes[sizeof(value)];
    memcpy(bytes, &value, sizeof(value));
    out_.append(bytes, sizeof(value));
  }

  void PutString(std::string_view text) {
    Put(static_cast<uint32_t>(text.size()));
    out_.append(text);
  }

 private:
  std::string& out_;
};

// What is read after the first failure is zero.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  template <typename Number>
  Number Get() {
    static_assert(std::is_integral_v<Number>);
    Number value{};
    const std::string_view bytes = Take(sizeof(value));
    if (ok_) memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }

  // 0 or 1.
  bool GetFlag() {
    const auto flag = Get<uint8_t>();
    if (flag > 1) ok_ = false;
    return flag == 1;
  }

  std::string GetString(size_t max_bytes) {
    const size_t size = Get<uint32_t>();
    if (size > max_bytes) ok_ = false;
    return std::string(Take(size));
  }

  void Require(bool condition) { ok_ = ok_ && condition; }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && in_.empty(); }

 private:
  std::string_view Take(size_t size) {
    if (size > in_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view bytes = in_.substr(0, size);
    in_.remove_prefix(size);
    return bytes;
  }

  std::string_view in_;
  bool ok_ = true;
};

void PutExit(const Exit& exit, Writer& out) {
  out.Put(exit.code);
  out.Put(exit.signal);
  out.Put(uint8_t{exit.core_dumped});
  out.Put(exit.max_rss_bytes);
  out.Put(exit.cpu_ms);
}

Exit GetExit(Reader& in) {
  Exit exit;
  exit.code = in.Get<int32_t>();
  exit.signal = in.Get<int32_t>();
  exit.core_dumped = in.GetFlag();
  exit.max_rss_bytes = in.Get<uint64_t>();
  exit.cpu_ms = in.Get<uint64_t>();
  return exit;
}

Severity GetSeverity(Reader& in) {
  const auto number = in.Get<uint8_t>();
  in.Require(number <= static_cast<uint8_t>(Severity::kError));
  return static_cast<Severity>(number);
}

}  // namespace

void Encode(const Event& event, std::string& out) {
  Writer writer(out);
  writer.Put(kVersion);
  writer.Put(event.cursor.sequence);
  writer.Put(absl::ToUnixMicros(event.time));
  writer.Put(static_cast<uint8_t>(event.severity));
  writer.Put(event.instance);
  writer.Put(event.generation);
  writer.Put(int32_t{event.pid});
  writer.Put(uint8_t{event.exit.has_value()});
  if (event.exit) PutExit(*event.exit, writer);
  writer.PutString(event.type);
  writer.PutString(event.worker);
  writer.PutString(event.from_state);
  writer.PutString(event.to_state);
  writer.PutString(event.text);
  writer.Put(static_cast<uint32_t>(event.stderr_tail.size()));
  for (const std::string& line : event.stderr_tail) writer.PutString(line);
}

std::optional<Event> Decode(std::string_view record) {
  Reader reader(record);
  reader.Require(reader.Get<uint8_t>() == kVersion);
  Event event;
  event.cursor.sequence = reader.Get<uint64_t>();
  event.time = absl::FromUnixMicros(reader.Get<int64_t>());
  event.severity = GetSeverity(reader);
  event.instance = reader.Get<uint32_t>();
  event.generation = reader.Get<uint64_t>();
  event.pid = reader.Get<int32_t>();
  if (reader.GetFlag()) event.exit = GetExit(reader);
  event.type = reader.GetString(kMaxNameBytes);
  event.worker = reader.GetString(kMaxNameBytes);
  event.from_state = reader.GetString(kMaxNameBytes);
  event.to_state = reader.GetString(kMaxNameBytes);
  event.text = reader.GetString(kMaxTextBytes);
  const size_t lines = reader.Get<uint32_t>();
  reader.Require(lines <= kMaxTailLines);
  for (size_t i = 0; i < lines && reader.ok(); ++i) {
    event.stderr_tail.push_back(reader.GetString(kMaxTailLineBytes));
  }
  if (!reader.AtEnd()) return std::nullopt;
  return event;
}

}  // namespace apm::events
