#include "proxy/http1/request_semantics.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "proxy/http1/digits.h"

namespace apm::http1 {
namespace {

constexpr bool IsAlphaNumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9');
}

// reg-name of RFC 3986 3.2.2, which covers IPv4 addresses too.
bool IsRegisteredName(std::string_view name) {
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (IsAlphaNumeric(c)) continue;
    if (std::string_view("-._~!$&'()*+,;=").find(c) != std::string_view::npos) {
      continue;
    }
    if (c != '%' || i + 2 >= name.size() || HexDigitValue(name[i + 1]) < 0 ||
        HexDigitValue(name[i + 2]) < 0) {
      return false;
    }
    i += 2;
  }
  return !name.empty();
}

// The letters of an IPv6 address; whether they make one is for whoever uses
// the host as an address, which we do not.
bool IsAddressLiteral(std::string_view inside_brackets) {
  for (char c : inside_brackets) {
    if (HexDigitValue(c) < 0 && c != ':' && c != '.') return false;
  }
  return inside_brackets.size() >= 2;
}

bool IsPort(std::string_view digits) {
  if (digits.empty()) return true;  // "host:" is allowed, RFC 3986 3.2.3.
  const std::optional<uint64_t> port = ParseDecimal(digits);
  return digits.size() <= 5 && port && *port <= 65535;
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
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    if (!IsAddressLiteral(text.substr(1, end - 1))) return false;
    port = text.substr(end + 1);
    if (port.empty()) return true;
    if (port.front() != ':') return false;
    return IsPort(port.substr(1));
  }
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos) port = text.substr(colon + 1);
  return IsRegisteredName(text.substr(0, colon)) && IsPort(port);
}

bool InterpretFields(std::string_view authority, Request& request,
                     ParseError& error) {
  return Interpreter(request, error).Run(authority);
}

}  // namespace apm::http1
