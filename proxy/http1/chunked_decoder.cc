#include "proxy/http1/chunked_decoder.h"

#include <algorithm>
#include <array>
#include <limits>

#include "proxy/http1/digits.h"
#include "proxy/http1/field.h"

namespace apm::http1 {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr size_t kMaxSizeDigits = 16;
constexpr uint64_t kMaxBodyBytes = std::numeric_limits<int64_t>::max();

// Fields that must not change after the head was acted upon: framing, routing,
// authentication, the client's address, request modifiers and how the content
// is to be read (RFC 9110 6.5.1).
constexpr std::array<std::string_view, 27> kNotInTrailers = {
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "keep-alive",
    "max-forwards",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-real-ip",
};

bool IsAllowedInTrailers(std::string_view name) {
  return name.find('_') == std::string_view::npos &&
         !name.starts_with("x-forwarded-") &&
         std::find(kNotInTrailers.begin(), kNotInTrailers.end(), name) ==
             kNotInTrailers.end();
}

}  // namespace

ChunkedDecoder::ChunkedDecoder(const ChunkedLimits& limits) : limits_(limits) {}

void ChunkedDecoder::Reset() {
  state_ = State::kSizeLine;
  remaining_ = announced_bytes_ = 0;
  extension_bytes_ = trailer_bytes_ = trailer_count_ = 0;
  line_.clear();
  data_ = {};
  trailers_.clear();
  error_ = ParseError();
}

ChunkedDecoder::Event ChunkedDecoder::Next(std::string_view& input) {
  // Each step takes something off the input and changes the state, or returns
  // false because the input is used up, bad, or its data is to be handed on.
  data_ = {};
  bool proceed = true;
  while (proceed) {
    switch (state_) {
      case State::kSizeLine:
        proceed = TakeSizeLine(input);
        break;
      case State::kData:
        proceed = TakeData(input);
        break;
      case State::kDataCr:
        proceed = TakeByte(input, '\r', State::kDataLf);
        break;
      case State::kDataLf:
        proceed = TakeByte(input, '\n', State::kSizeLine);
        break;
      case State::kTrailers:
        proceed = TakeTrailerLine(input);
        break;
      case State::kEnd:
        return Event::kEnd;
      case State::kError:
        return Event::kError;
    }
  }
  if (state_ == State::kError) return Event::kError;
  return data_.empty() ? Event::kNeedMore : Event::kData;
}

bool ChunkedDecoder::Fail(int status, std::string_view reason) {
  state_ = State::kError;
  error_ = {status, reason};
  return false;
}

// Moves bytes up to a line feed into line_; true if it has come. Stops at
// `max_bytes` and one, by which the caller sees that the line is too long.
bool ChunkedDecoder::TakeLine(std::string_view& input, size_t max_bytes) {
  const std::string_view head = input.substr(0, max_bytes + 1 - line_.size());
  const size_t line_feed = head.find('\n');
  const bool found = line_feed != std::string_view::npos;
  const size_t size = found ? line_feed + 1 : head.size();
  line_.append(head.substr(0, size));
  input.remove_prefix(size);
  return found;
}

bool ChunkedDecoder::TakeSizeLine(std::string_view& input) {
  const size_t max_bytes =
      kMaxSizeDigits + limits_.chunk_extension_bytes + kLineEnd.size();
  const bool found = TakeLine(input, max_bytes);
  if (line_.size() > max_bytes) {
    return Fail(400, "a chunk size line is too long");
  }
  if (!found) return false;
  std::string_view line = line_;
  if (!line.ends_with(kLineEnd)) return Fail(400, "a line ends without CR");
  line.remove_suffix(kLineEnd.size());
  if (!ReadSizeLine(line)) return false;
  line_.clear();
  return true;
}

bool ChunkedDecoder::ReadSizeLine(std::string_view line) {
  uint64_t size = 0;
  size_t digits = 0;
  for (; digits < line.size(); ++digits) {
    const int digit = HexDigitValue(line[digits]);
    if (digit < 0) break;
    size = size << 4 | static_cast<uint64_t>(digit);
  }
  if (digits == 0 || digits > kMaxSizeDigits) {
    return Fail(400, "a chunk size is not valid");
  }
  if (!ReadExtensions(line.substr(digits))) return false;
  if (size > kMaxBodyBytes - announced_bytes_) {
    return Fail(413, "the request body is too large");
  }
  announced_bytes_ += size;
  remaining_ = size;
  state_ = size == 0 ? State::kTrailers : State::kData;
  return true;
}

// chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS value ] ) (RFC 9112 7.1.1).
// Nobody uses them, so they are bounded and skipped, but not taken for
// anything else: what follows the size begins with ';' and has no controls.
bool ChunkedDecoder::ReadExtensions(std::string_view extensions) {
  if (extensions.empty()) return true;
  if (extensions.size() > limits_.chunk_extension_bytes ||
      extensions.size() > limits_.extension_bytes - extension_bytes_) {
    return Fail(400, "the chunk extensions are too long");
  }
  extension_bytes_ += extensions.size();
  const std::string_view text = TrimWhitespace(extensions);
  if (!text.starts_with(';') || !IsFieldValue(text)) {
    return Fail(400, "a chunk size is not valid");
  }
  return true;
}

// False: the data, or nothing, is to be handed on.
bool ChunkedDecoder::TakeData(std::string_view& input) {
  data_ = input.substr(0, std::min<uint64_t>(remaining_, input.size()));
  input.remove_prefix(data_.size());
  remaining_ -= data_.size();
  if (remaining_ == 0) state_ = State::kDataCr;
  return false;
}

bool ChunkedDecoder::TakeByte(std::string_view& input, char expected,
                              State next) {
  if (input.empty()) return false;
  if (input.front() != expected) {
    return Fail(400, "chunk data is not followed by CRLF");
  }
  input.remove_prefix(1);
  state_ = next;
  return true;
}

bool ChunkedDecoder::TakeTrailerLine(std::string_view& input) {
  const size_t max_bytes = limits_.trailer_bytes - trailer_bytes_;
  const bool found = TakeLine(input, max_bytes);
  if (line_.size() > max_bytes) return Fail(431, "the trailers are too large");
  if (!found) return false;
  if (!line_.ends_with(kLineEnd)) return Fail(400, "a line ends without CR");
  trailer_bytes_ += line_.size();
  line_.resize(line_.size() - kLineEnd.size());
  if (line_.empty()) {
    state_ = State::kEnd;
  } else if (!ReadTrailer(line_)) {
    return false;
  }
  line_.clear();
  return true;
}

bool ChunkedDecoder::ReadTrailer(std::span<char> line) {
  if (++trailer_count_ > limits_.trailer_fields) {
    return Fail(431, "the request has too many trailers");
  }
  Field field;
  const char* const error = ParseFieldLine(line, field);
  if (error != nullptr) return Fail(400, error);
  if (IsAllowedInTrailers(field.name)) {
    trailers_.emplace_back(field.name, field.value);
  }
  return true;
}

}  // namespace apm::http1
