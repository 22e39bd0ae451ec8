// Reads request heads from a byte stream that was cut at arbitrary places.
//
// Strict where RFC 9112 lets a recipient choose: what is left of request
// smuggling for an agent that translates is a front proxy that disagrees with
// it, so anything two parsers could read in two ways is refused. What is
// accepted and refused is listed, with the section, by the vectors in
// tests/conformance/http1_requests.json.
//
// Pure: no I/O, no clock. No allocation once its storage has grown.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/http1/request.h"

namespace apm::http1 {

struct RequestLimits {
  size_t request_line_bytes = size_t{8} << 10;  // Without CRLF. Else 414.
  size_t head_bytes = size_t{32} << 10;         // With all line ends. Else 431.
  size_t fields = 100;                          // Else 431.
};

// Owned by one connection; reads its requests one after the other.
//
//   switch (parser.Parse(unread)) {
//     case Result::kNeedMore: break;  // Read more behind `unread`.
//     case Result::kComplete:
//       Begin(parser.request());      // Copies what must outlive `unread`.
//       Consume(parser.request().head_bytes);
//       parser.Reset();
//       break;
//     case Result::kError: Answer(parser.error()); Close();
//   }
//
// Thread-compatible.
class RequestParser {
 public:
  enum class Result : uint8_t { kNeedMore, kComplete, kError };

  explicit RequestParser(const RequestLimits& limits = RequestLimits());

  // `input` begins with the first byte of the head, on every call, and has
  // grown since the last one; it may have moved. No line is read twice. Turns
  // field names to lower case in place.
  // The verdict does not depend on how the bytes were cut, and one that a
  // limit gives comes before the end of the head. It repeats until Reset().
  Result Parse(std::span<char> input);

  // Forgets the head, keeps its storage.
  void Reset();

  // Valid after kComplete, until Reset() or until `input` goes away.
  const Request& request() const { return request_; }

  // Valid after kError, until Reset().
  const ParseError& error() const { return error_; }

 private:
  // Offsets, since the buffer may move before the head is complete.
  struct Range {
    uint32_t begin = 0;
    uint32_t size = 0;
  };
  struct FieldRange {
    Range name;
    Range value;
  };
  enum class State : uint8_t {
    kStart,
    kRequestLine,
    kFields,
    kComplete,
    kError,
  };

  bool Fail(int status, std::string_view reason);
  bool ReadStart(std::string_view input);
  bool FindLineEnd(std::string_view input, size_t& line_feed);
  bool ReadLine(std::span<char> input, size_t line_feed);
  bool ReadRequestLine(std::string_view input, size_t end);
  bool ReadVersion(std::string_view version);
  bool ReadTarget(std::string_view target);
  bool ReadAbsoluteForm(std::string_view target);
  bool ReadField(std::span<char> input, size_t end);
  bool Complete(std::string_view input);

  const RequestLimits limits_;
  State state_ = State::kStart;
  size_t line_begin_ = 0;   // First byte not yet read.
  size_t scanned_ = 0;      // No line feed in [line_begin_, scanned_).
  size_t field_count_ = 0;  // Including the dropped ones.
  Range method_;
  Range target_;
  Range authority_;  // Of an absolute-form.
  Range path_;
  Range query_;
  std::vector<FieldRange> ranges_;
  Request request_;
  ParseError error_;
};

}  // namespace apm::http1
