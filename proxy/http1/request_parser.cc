// One pass over the head, line by line.
//
// A line is read once its line feed has come; memchr finds it at many bytes a
// cycle and never looks at a byte twice. Judging only whole lines is what makes
// the verdict independent of how the bytes were cut: a limit is checked before
// the line's content, whether or not the rest of the line is there already.
//
// Rejected: waiting for the empty line and parsing then (picohttpparser), since
// a head over its limits must be refused before its end; and a state per byte
// (llhttp), which costs several times the instructions and hides the grammar.

#include "proxy/http1/request_parser.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "proxy/http1/request_semantics.h"

namespace apm::http1 {
namespace {

constexpr std::string_view kEmptyLine = "\r\n";

// Bytes of a request target: visible ASCII without the fragment's '#', which
// never goes on the wire. Wider than RFC 3986, as browsers send "|" and "{"
// unescaped; other bytes must be percent-encoded.
constexpr std::array<bool, 256> MakeTargetBytes() {
  std::array<bool, 256> table{};
  for (size_t c = 0x21; c < 0x7f; ++c) table[c] = c != '#';
  return table;
}
constexpr std::array<bool, 256> kTargetBytes = MakeTargetBytes();

size_t TargetSize(std::string_view bytes) {
  size_t size = 0;
  while (size < bytes.size() &&
         kTargetBytes[static_cast<uint8_t>(bytes[size])]) {
    ++size;
  }
  return size;
}

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

RequestParser::RequestParser(const RequestLimits& limits) : limits_(limits) {}

void RequestParser::Reset() {
  state_ = State::kStart;
  line_begin_ = scanned_ = field_count_ = 0;
  authority_ = path_ = query_ = Range();
  ranges_.clear();
  std::vector<Field> storage = std::move(request_.fields);
  storage.clear();
  request_ = Request();
  request_.fields = std::move(storage);
  error_ = ParseError();
}

RequestParser::Result RequestParser::Parse(std::span<char> input) {
  const std::string_view bytes(input.data(), input.size());
  if (state_ == State::kStart) ReadStart(bytes);
  while (state_ == State::kRequestLine || state_ == State::kFields) {
    size_t line_feed = 0;
    if (!FindLineEnd(bytes, line_feed) || !ReadLine(input, line_feed)) break;
  }
  if (state_ == State::kComplete) return Result::kComplete;
  return state_ == State::kError ? Result::kError : Result::kNeedMore;
}

bool RequestParser::Fail(int status, std::string_view reason) {
  state_ = State::kError;
  error_ = {status, reason};
  return false;
}

// One empty line in front is tolerated: old clients send one too many behind
// a body (RFC 9112 2.2). The first byte of the method is judged at once, so
// that a TLS greeting on a plain port is not waited for.
bool RequestParser::ReadStart(std::string_view input) {
  if (input.empty()) return false;
  size_t begin = 0;
  if (input[0] == '\r') {
    if (input.size() == 1) return false;
    if (!input.starts_with(kEmptyLine)) return Fail(400, "a CR without LF");
    begin = kEmptyLine.size();
    if (input.size() == begin) return false;
  }
  if (!IsToken(input.substr(begin, 1))) {
    return Fail(400, "the request does not begin with a method");
  }
  line_begin_ = scanned_ = begin;
  state_ = State::kRequestLine;
  return true;
}

// False if the line feed has not come, or a limit says that it comes too late.
inline bool RequestParser::FindLineEnd(std::string_view input,
                                       size_t& line_feed) {
  const void* found = nullptr;
  if (scanned_ < input.size()) {
    found = std::memchr(input.data() + scanned_, '\n', input.size() - scanned_);
  }
  const size_t end =
      found
          ? static_cast<size_t>(static_cast<const char*>(found) - input.data())
          : input.size();
  if (state_ == State::kRequestLine &&
      end - line_begin_ > limits_.request_line_bytes + 1) {  // 1: the CR.
    return Fail(414, "the request line is too long");
  }
  if (end >= limits_.head_bytes) {
    return Fail(431, "the request head is too large");
  }
  scanned_ = end;
  line_feed = end;
  return found != nullptr;
}

bool RequestParser::ReadLine(std::span<char> input, size_t line_feed) {
  if (line_feed == line_begin_ || input[line_feed - 1] != '\r') {
    return Fail(400, "a line ends without CR");
  }
  const std::string_view bytes(input.data(), input.size());
  const size_t end = line_feed - 1;
  if (state_ == State::kRequestLine) {
    if (!ReadRequestLine(bytes, end)) return false;
    state_ = State::kFields;
  } else if (end == line_begin_) {
    request_.head_bytes = line_feed + 1;
    return Complete(bytes);
  } else if (!ReadField(input, end)) {
    return false;
  }
  line_begin_ = scanned_ = line_feed + 1;
  return true;
}

// request-line = method SP request-target SP HTTP-version (RFC 9112 3). One
// space each: lenient splitting is a way to smuggle (3, last paragraph).
bool RequestParser::ReadRequestLine(std::string_view input, size_t end) {
  const std::string_view line = input.substr(line_begin_, end - line_begin_);
  const size_t method_size = line.find(' ');
  if (method_size == std::string_view::npos) {
    return Fail(400, "the request line has no method, target and version");
  }
  const std::string_view method = line.substr(0, method_size);
  if (!IsToken(method)) return Fail(400, "the method is not a token");
  const size_t target_begin = method_size + 1;
  const size_t target_size = TargetSize(line.substr(target_begin));
  const size_t target_end = target_begin + target_size;
  if (target_size == 0 || target_end == line.size() ||
      line[target_end] != ' ') {
    return Fail(400, "the request target is not valid");
  }
  if (!ReadVersion(line.substr(target_end + 1))) return false;
  if (method == "CONNECT" || method == "TRACE") {
    return Fail(405, "the method is not allowed");
  }
  method_ = {static_cast<uint32_t>(line_begin_),
             static_cast<uint32_t>(method_size)};
  target_ = {static_cast<uint32_t>(line_begin_ + target_begin),
             static_cast<uint32_t>(target_size)};
  // "*" speaks of the server as a whole: only OPTIONS can (RFC 9112 3.2.4).
  if (!ReadTarget(line.substr(target_begin, target_size)) ||
      (request_.form == TargetForm::kAsterisk && method != "OPTIONS")) {
    return Fail(400, "the request target is not valid");
  }
  return true;
}

// HTTP-version = "HTTP" "/" DIGIT "." DIGIT, case-sensitive (RFC 9112 2.3).
bool RequestParser::ReadVersion(std::string_view version) {
  if (version == "HTTP/1.1") {
    request_.version = Version::kHttp11;
    return true;
  }
  if (version == "HTTP/1.0") {
    request_.version = Version::kHttp10;
    return true;
  }
  const bool well_formed =
      version.size() == 8 && version.starts_with("HTTP/") &&
      IsDigit(version[5]) && version[6] == '.' && IsDigit(version[7]);
  return well_formed ? Fail(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
                     : Fail(400, "the HTTP version is not valid");
}

// RFC 9112 3.2. Ranges are relative to the input, as those of fields.
bool RequestParser::ReadTarget(std::string_view target) {
  size_t path_begin = 0;
  if (target == "*") {
    request_.form = TargetForm::kAsterisk;
  } else if (target.front() == '/') {
    request_.form = TargetForm::kOrigin;
  } else if (!ReadAbsoluteForm(target)) {
    return false;
  } else {
    request_.form = TargetForm::kAbsolute;
    path_begin = authority_.begin + authority_.size - target_.begin;
  }
  const size_t question = target.find('?', path_begin);
  const size_t path_end = std::min(question, target.size());
  path_ = {static_cast<uint32_t>(target_.begin + path_begin),
           static_cast<uint32_t>(path_end - path_begin)};
  if (path_end != target.size()) {
    query_ = {static_cast<uint32_t>(target_.begin + path_end + 1),
              static_cast<uint32_t>(target.size() - path_end - 1)};
  }
  return true;
}

// absolute-form = scheme "://" authority path-abempty [ "?" query ]
bool RequestParser::ReadAbsoluteForm(std::string_view target) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!EqualsIgnoringCase(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    authority_ = {static_cast<uint32_t>(target_.begin + scheme.size()),
                  static_cast<uint32_t>(authority.size())};
    return IsHost(authority);
  }
  return false;
}

bool RequestParser::ReadField(std::span<char> input, size_t end) {
  if (++field_count_ > limits_.fields) {
    return Fail(431, "the request has too many headers");
  }
  Field field;
  const char* const error =
      ParseFieldLine(input.subspan(line_begin_, end - line_begin_), field);
  if (error != nullptr) return Fail(400, error);
  if (field.name.find('_') != std::string_view::npos) {
    ++request_.dropped_fields;
    return true;
  }
  const auto range = [&](std::string_view part) {
    return Range{static_cast<uint32_t>(part.data() - input.data()),
                 static_cast<uint32_t>(part.size())};
  };
  ranges_.push_back({range(field.name), range(field.value)});
  return true;
}

bool RequestParser::Complete(std::string_view input) {
  const auto view = [&](Range range) {
    return std::string_view(input.data() + range.begin, range.size);
  };
  request_.method = view(method_);
  request_.target = view(target_);
  request_.path = path_.size == 0 ? std::string_view("/") : view(path_);
  request_.query = view(query_);
  request_.fields.reserve(ranges_.size());
  for (const FieldRange& range : ranges_) {
    request_.fields.push_back({view(range.name), view(range.value)});
  }
  ParseError error;
  if (!InterpretFields(view(authority_), request_, error)) {
    return Fail(error.status, error.reason);
  }
  state_ = State::kComplete;
  return true;
}

}  // namespace apm::http1
