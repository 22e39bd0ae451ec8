#include "proxy/http1/request_semantics.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "proxy/http1/digits.h"

namespace apm::http1 {
namespace {

// unreserved and sub-delims of RFC 3986: what a host name is made of, besides
// percent-encoding.
constexpr std::array<bool, 256> MakeNameBytes() {
  std::array<bool, 256> table{};
  for (size_t c = '0'; c <= '9'; ++c) table[c] = true;
  for (size_t c = 'A'; c <= 'Z'; ++c) table[c] = table[c - 'A' + 'a'] = true;
  for (char c : std::string_view("-._~!$&'()*+,;=")) {
    table[static_cast<uint8_t>(c)] = true;
  }
  return table;
}
constexpr std::array<bool, 256> kNameBytes = MakeNameBytes();

// The size of the reg-name in front of `text` (RFC 3986 3.2.2), which covers
// IPv4 addresses too.
size_t RegisteredNameSize(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    if (kNameBytes[static_cast<uint8_t>(text[i])]) {
      ++i;
    } else if (text[i] == '%' && i + 2 < text.size() &&
               HexDigitValue(text[i + 1]) >= 0 &&
               HexDigitValue(text[i + 2]) >= 0) {
      i += 3;
    } else {
      break;
    }
  }
  return i;
}

// The letters of an IPv6 address; whether they make one is for whoever uses
// the host as an address, which we do not.
bool IsAddressLiteral(std::string_view inside_brackets) {
  for (char c : inside_brackets) {
    if (HexDigitValue(c) < 0 && c != ':' && c != '.') return false;
  }
  return inside_brackets.size() >= 2;
}

// [ ":" *DIGIT ]: "host:" without a number is allowed, RFC 3986 3.2.3.
bool IsPortSuffix(std::string_view suffix) {
  if (suffix.empty()) return true;
  if (suffix.front() != ':' || suffix.size() > 6) return false;
  int port = 0;
  for (char c : suffix.substr(1)) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65535;
}

// One pass over the fields, remembering what the verdicts below need.
class Interpreter {
 public:
  Interpreter(Request& request, ParseError& error)
      : request_(request), error_(error) {}

  bool Run(std::string_view authority) {
    for (const Field& field : request_.fields) {
      if (!Visit(field)) return false;
    }
    return JudgeHost(authority) && JudgeBody() && JudgeConnection();
  }

 private:
  bool Fail(int status, std::string_view reason) {
    error_ = {status, reason};
    return false;
  }

  // By length first: most names fail at one comparison.
  bool Visit(const Field& field) {
    switch (field.name.size()) {
      case 4:
        return field.name != "host" || VisitHost(field.value);
      case 6:
        if (field.name == "expect") {
          expects_continue_ |= EqualsIgnoringCase(field.value, "100-continue");
        }
        return true;
      case 7:
        if (field.name == "upgrade" && upgrade_.empty()) upgrade_ = field.value;
        return true;
      case 10:
        if (field.name == "connection") VisitConnection(field.value);
        return true;
      case 14:
        return field.name != "content-length" ||
               VisitContentLength(field.value);
      case 17:
        if (field.name == "transfer-encoding") VisitCodings(field.value);
        return true;
      default:
        return true;
    }
  }

  bool VisitHost(std::string_view value) {
    if (has_host_) return Fail(400, "more than one Host");
    if (!IsHost(value)) return Fail(400, "the Host is not valid");
    has_host_ = true;
    request_.host = value;
    return true;
  }

  // One only, even when a second says the same: a recipient may refuse what
  // RFC 9112 6.3 lets it merge.
  bool VisitContentLength(std::string_view value) {
    if (content_length_) return Fail(400, "more than one Content-Length");
    content_length_ = ParseDecimal(value);
    return content_length_ || Fail(400, "the Content-Length is not valid");
  }

  void VisitCodings(std::string_view value) {
    has_codings_ = true;
    ForEachListElement(value, [this](std::string_view coding) {
      ends_chunked_ = EqualsIgnoringCase(coding, "chunked");
      if (ends_chunked_) {
        ++chunked_codings_;
      } else {
        ++other_codings_;
      }
    });
  }

  void VisitConnection(std::string_view value) {
    ForEachListElement(value, [this](std::string_view option) {
      wants_close_ |= EqualsIgnoringCase(option, "close");
      wants_keep_alive_ |= EqualsIgnoringCase(option, "keep-alive");
      wants_upgrade_ |= EqualsIgnoringCase(option, "upgrade");
    });
  }

  // RFC 9112 3.2. Of an absolute-form the RFC ignores Host (3.2.2); we want
  // both to agree, so that a front proxy that looks at the other one does too.
  bool JudgeHost(std::string_view authority) {
    if (!has_host_ && request_.version == Version::kHttp11) {
      return Fail(400, "no Host");
    }
    if (authority.empty()) return true;
    if (has_host_ && !EqualsIgnoringCase(authority, request_.host)) {
      return Fail(400, "the Host differs from that of the request target");
    }
    request_.host = authority;
    return true;
  }

  // RFC 9112 6.1, 6.3.
  bool JudgeBody() {
    if (!has_codings_) {
      request_.body = content_length_ ? BodyKind::kLength : BodyKind::kNone;
      request_.content_length = content_length_.value_or(0);
      return true;
    }
    if (content_length_) {
      return Fail(400, "both Content-Length and Transfer-Encoding");
    }
    if (request_.version == Version::kHttp10) {
      return Fail(400, "Transfer-Encoding in HTTP/1.0");
    }
    if (!ends_chunked_ || chunked_codings_ != 1) {
      return Fail(400, "the Transfer-Encoding does not end in one chunked");
    }
    if (other_codings_ != 0) {
      return Fail(501, "a transfer coding other than chunked");
    }
    request_.body = BodyKind::kChunked;
    return true;
  }

  bool JudgeConnection() {
    const bool is_http11 = request_.version == Version::kHttp11;
    request_.keep_alive = !wants_close_ && (is_http11 || wants_keep_alive_);
    // To be ignored from HTTP/1.0 (RFC 9110 10.1.1, 7.8).
    request_.expect_continue =
        is_http11 && expects_continue_ &&
        (request_.body == BodyKind::kChunked || request_.content_length != 0);
    if (is_http11 && wants_upgrade_) request_.upgrade = upgrade_;
    return true;
  }

  Request& request_;
  ParseError& error_;
  std::string_view upgrade_;
  std::optional<uint64_t> content_length_;
  int chunked_codings_ = 0;
  int other_codings_ = 0;
  bool has_host_ = false;
  bool has_codings_ = false;
  bool ends_chunked_ = false;
  bool expects_continue_ = false;
  bool wants_close_ = false;
  bool wants_keep_alive_ = false;
  bool wants_upgrade_ = false;
};

}  // namespace

bool IsHost(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    return end != std::string_view::npos &&
           IsAddressLiteral(text.substr(1, end - 1)) &&
           IsPortSuffix(text.substr(end + 1));
  }
  const size_t name_size = RegisteredNameSize(text);
  return name_size > 0 && IsPortSuffix(text.substr(name_size));
}

bool InterpretFields(std::string_view authority, Request& request,
                     ParseError& error) {
  return Interpreter(request, error).Run(authority);
}

}  // namespace apm::http1
