// Layout: a byte for the kind, a byte for the version, the fields in the order
// of the struct. Numbers are LEB128, signed ones zigzag before that; texts and
// lists have their count in front; what may be missing has a flag in front.
//
// Not protobuf: the supervisor knows no protocol, and whoever reads these
// bytes has one question, whether this very version wrote them. So the decoder
// takes nothing that the encoder would not have written, down to the length of
// a number; a fuzz test holds it to that.

#include "agent/supervisor/memo.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/time/time.h>

namespace apm::supervisor {
namespace {

constexpr uint8_t kProcessKind = 'P';
constexpr uint8_t kInstanceKind = 'I';
constexpr uint8_t kVersion = 1;

class Writer {
 public:
  explicit Writer(uint8_t kind) {
    Byte(kind);
    Byte(kVersion);
  }

  void Byte(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void Flag(bool value) { Byte(value ? 1 : 0); }
  template <typename Enum>
  void Choice(Enum value) {
    Byte(static_cast<uint8_t>(value));
  }
  void Number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      Byte(static_cast<uint8_t>(value | 0x80));
    }
    Byte(static_cast<uint8_t>(value));
  }
  void Signed(int64_t value) {
    const auto bits = static_cast<uint64_t>(value);
    Number((bits << 1) ^ (value < 0 ? ~uint64_t{0} : 0));
  }
  void Time(absl::Time value) { Signed(absl::ToUnixMicros(value)); }
  void Duration(absl::Duration value) {
    Signed(absl::ToInt64Microseconds(value));
  }
  void Text(std::string_view text) {
    size_t size = text.size();
    if (size > kMaxMemoText) {
      size = kMaxMemoText;
      // Back to the first byte of a character (UTF-8).
      while (size > 0 && (static_cast<uint8_t>(text[size]) & 0xC0) == 0x80) {
        --size;
      }
    }
    Number(size);
    bytes_.append(text.substr(0, size));
  }

  std::string Finish() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first thing that cannot be, everything reads as zero.
class Reader {
 public:
  Reader(std::string_view bytes, uint8_t kind) : rest_(bytes) {
    if (Byte() != kind || Byte() != kVersion) Fail();
  }

  uint8_t Byte() {
    if (rest_.empty()) {
      Fail();
      return 0;
    }
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  bool Flag() {
    const uint8_t value = Byte();
    if (value > 1) Fail();
    return value == 1;
  }
  template <typename Enum>
  Enum Choice(Enum last) {
    const uint8_t value = Byte();
    if (value > static_cast<uint8_t>(last)) {
      Fail();
      return Enum{};
    }
    return static_cast<Enum>(value);
  }
  uint64_t Number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint64_t byte = Byte();
      const uint64_t part = byte & 0x7F;
      value |= part << shift;
      if (byte >= 0x80) continue;
      if ((part << shift) >> shift != part) Fail();  // More than 64 bits.
      if (byte == 0 && shift > 0) Fail();            // Not the shortest way.
      return value;
    }
    Fail();
    return 0;
  }
  // The last value of the type is the limit.
  template <typename Unsigned>
  Unsigned NumberOf() {
    const uint64_t value = Number();
    if (value > std::numeric_limits<Unsigned>::max()) Fail();
    return static_cast<Unsigned>(value);
  }
  int64_t Signed() {
    const uint64_t bits = Number();
    return static_cast<int64_t>((bits >> 1) ^ (~(bits & 1) + 1));
  }
  int Int() {
    const int64_t value = Signed();
    if (value < std::numeric_limits<int>::min() ||
        value > std::numeric_limits<int>::max()) {
      Fail();
    }
    return static_cast<int>(value);
  }
  absl::Time Time() { return absl::FromUnixMicros(Signed()); }
  absl::Duration Duration() { return absl::Microseconds(Signed()); }
  std::string Text() {
    const uint64_t size = Number();
    if (size > kMaxMemoText || size > rest_.size()) {
      Fail();
      return "";
    }
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }

  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  // Everything was there, and nothing else.
  bool Finish() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

void Write(Writer& out, const ProcessExit& exit) {
  out.Signed(exit.code);
  out.Signed(exit.signal);
  out.Flag(exit.core_dumped);
  out.Duration(exit.user_time);
  out.Duration(exit.system_time);
  out.Number(exit.max_rss_kb);
  out.Signed(exit.unix_ms);
}

ProcessExit ReadExit(Reader& in) {
  ProcessExit exit;
  exit.code = in.Int();
  exit.signal = in.Int();
  exit.core_dumped = in.Flag();
  exit.user_time = in.Duration();
  exit.system_time = in.Duration();
  exit.max_rss_kb = in.Number();
  exit.unix_ms = in.Signed();
  return exit;
}

void Write(Writer& out, const PacerMemo& pacer) {
  out.Number(pacer.in_a_row);
  out.Flag(pacer.looping);
  const size_t count = std::min(pacer.ends.size(), kMaxMemoEnds);
  out.Number(count);
  for (size_t i = pacer.ends.size() - count; i < pacer.ends.size(); ++i) {
    out.Time(pacer.ends[i]);
  }
}

PacerMemo ReadPacer(Reader& in) {
  PacerMemo pacer;
  pacer.in_a_row = in.NumberOf<uint32_t>();
  pacer.looping = in.Flag();
  const uint64_t count = in.Number();
  if (count > kMaxMemoEnds) {
    in.Fail();
    return pacer;
  }
  for (uint64_t i = 0; i < count; ++i) pacer.ends.push_back(in.Time());
  return pacer;
}

}  // namespace

std::string Encode(const ProcessMemo& memo) {
  Writer out(kProcessKind);
  out.Choice(memo.phase);
  out.Choice(memo.role);
  out.Choice(memo.stop_reason);
  out.Flag(memo.signalled);
  out.Flag(memo.torn);
  out.Flag(memo.ready.has_value());
  if (memo.ready) out.Time(*memo.ready);
  out.Text(memo.connector);
  out.Text(memo.problem);
  return out.Finish();
}

std::optional<ProcessMemo> DecodeProcessMemo(std::string_view bytes) {
  Reader in(bytes, kProcessKind);
  ProcessMemo memo;
  memo.phase = in.Choice(ProcessMemo::Phase::kEnded);
  memo.role = in.Choice(Role::kOutgoing);
  memo.stop_reason = in.Choice(StopReason::kForGood);
  memo.signalled = in.Flag();
  memo.torn = in.Flag();
  if (in.Flag()) memo.ready = in.Time();
  memo.connector = in.Text();
  memo.problem = in.Text();
  if (!in.Finish()) return std::nullopt;
  return memo;
}

std::string Encode(const InstanceMemo& memo) {
  Writer out(kInstanceKind);
  out.Choice(memo.state);
  out.Number(memo.generation);
  out.Number(memo.restarts);
  Write(out, memo.pacer);
  out.Flag(memo.next_retry.has_value());
  if (memo.next_retry) out.Time(*memo.next_retry);
  out.Flag(memo.last_exit.has_value());
  if (memo.last_exit) Write(out, *memo.last_exit);
  out.Text(memo.problem);
  return out.Finish();
}

std::optional<InstanceMemo> DecodeInstanceMemo(std::string_view bytes) {
  Reader in(bytes, kInstanceKind);
  InstanceMemo memo;
  memo.state = in.Choice(InstanceState::kFailed);
  memo.generation = in.Number();
  memo.restarts = in.Number();
  memo.pacer = ReadPacer(in);
  if (in.Flag()) memo.next_retry = in.Time();
  if (in.Flag()) memo.last_exit = ReadExit(in);
  memo.problem = in.Text();
  if (!in.Finish()) return std::nullopt;
  return memo;
}

}  // namespace apm::supervisor
