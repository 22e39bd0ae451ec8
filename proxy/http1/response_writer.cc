#include "proxy/http1/response_writer.h"

#include <charconv>

#include <absl/strings/str_cat.h>

#include "proxy/http1/digits.h"

namespace apm::http1 {
namespace {

void AppendDecimal(uint64_t value, std::string& out) {
  char digits[20];
  const auto result = std::to_chars(digits, digits + sizeof(digits), value);
  out.append(digits, result.ptr);
}

void AppendStatusLine(int status, std::string& out) {
  if (status == 200) {  // Nearly always.
    out.append("HTTP/1.1 200 OK\r\n");
    return;
  }
  out.append("HTTP/1.1 ");
  AppendDecimal(static_cast<uint64_t>(status), out);
  out.push_back(' ');
  out.append(ReasonPhrase(status));
  out.append("\r\n");
}

void AppendField(const Field& field, std::string& out) {
  out.append(field.name).append(": ").append(field.value).append("\r\n");
}

// What a worker's field means for the head.
enum class Role { kPlain, kOurs, kContentLength, kDate };

// kOurs: the fields that speak about this connection only (RFC 9110 7.6.1).
// Trailer goes with them as long as no trailers are sent.
Role RoleOf(std::string_view name) {
  const auto is = [&](std::string_view other) {
    return EqualsIgnoringCase(name, other);
  };
  switch (name.size()) {
    case 2:
      return is("te") ? Role::kOurs : Role::kPlain;
    case 4:
      return is("date") ? Role::kDate : Role::kPlain;
    case 7:
      return is("upgrade") || is("trailer") ? Role::kOurs : Role::kPlain;
    case 10:
      return is("connection") || is("keep-alive") ? Role::kOurs : Role::kPlain;
    case 14:
      return is("content-length") ? Role::kContentLength : Role::kPlain;
    case 16:
      return is("proxy-connection") ? Role::kOurs : Role::kPlain;
    case 17:
      return is("transfer-encoding") ? Role::kOurs : Role::kPlain;
    default:
      return Role::kPlain;
  }
}

struct Checked {
  std::optional<uint64_t> content_length;
  bool has_date = false;
};

// The bytes of a refused name or value stay out of the message: it goes to a
// log, and they are what a log must not have.
absl::StatusOr<Checked> CheckFields(std::span<const Field> fields) {
  Checked checked;
  for (const Field& field : fields) {
    if (!IsToken(field.name)) {
      return absl::InvalidArgumentError(
          "a response header name is not a token");
    }
    if (!IsFieldValue(field.value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a control byte in response header '",
          absl::string_view(field.name.data(), field.name.size()), "'"));
    }
    const Role role = RoleOf(field.name);
    checked.has_date |= role == Role::kDate;
    if (role != Role::kContentLength) continue;
    if (checked.content_length) {
      return absl::InvalidArgumentError("content-length is given twice");
    }
    checked.content_length = ParseDecimal(field.value);
    if (!checked.content_length) {
      return absl::InvalidArgumentError("content-length is not a number");
    }
  }
  return checked;
}

bool HasNoBody(const Exchange& exchange, int status) {
  return exchange.head_request || status < 200 || status == 204 ||
         status == 205 || status == 304;
}

// Content-Length of an answer without a body (RFC 9110 8.6): what GET would
// have had for HEAD and 304, 0 for 205 (15.3.6), never for 204.
std::optional<uint64_t> LengthWithoutBody(int status,
                                          std::optional<uint64_t> announced,
                                          std::optional<uint64_t> body_bytes) {
  if (status == 204) return std::nullopt;
  if (status == 205) return 0;
  if (announced || status == 304) return announced;
  // HEAD: a worker that wrote nothing has not said that GET has no body.
  return body_bytes == uint64_t{0} ? std::nullopt : body_bytes;
}

ResponseFraming ChooseFraming(const Exchange& exchange,
                              std::optional<uint64_t> length) {
  if (length) return {Framing::kLength, *length, exchange.keep_alive};
  if (exchange.version == Version::kHttp11) {
    return {Framing::kChunked, 0, exchange.keep_alive};
  }
  return {Framing::kClose, 0, false};
}

void AppendConnection(const Exchange& exchange, bool keep_alive,
                      std::string& out) {
  if (!keep_alive) {
    out.append("Connection: close\r\n");
  } else if (exchange.version == Version::kHttp10) {
    out.append("Connection: keep-alive\r\n");
  }
}

}  // namespace

absl::StatusOr<ResponseFraming> AppendResponseHead(
    const Exchange& exchange, int status, std::span<const Field> fields,
    std::optional<uint64_t> body_bytes, std::string_view date_line,
    std::string& out) {
  if (status < 200 || status > 599) {
    return absl::InvalidArgumentError(
        absl::StrCat("response status ", status, " is not within 200 to 599"));
  }
  const absl::StatusOr<Checked> checked = CheckFields(fields);
  if (!checked.ok()) return checked.status();

  std::optional<uint64_t> length = checked->content_length;
  ResponseFraming framing{Framing::kNoBody, 0, exchange.keep_alive};
  if (HasNoBody(exchange, status)) {
    length = LengthWithoutBody(status, length, body_bytes);
  } else {
    if (length && body_bytes && *length != *body_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("content-length is ", *length, " but the body has ",
                       *body_bytes, " bytes"));
    }
    if (!length) length = body_bytes;
    framing = ChooseFraming(exchange, length);
  }

  AppendStatusLine(status, out);
  if (!checked->has_date) out.append(date_line);
  for (const Field& field : fields) {
    const Role role = RoleOf(field.name);
    if (role == Role::kPlain || role == Role::kDate) AppendField(field, out);
  }
  if (length) {
    out.append("Content-Length: ");
    AppendDecimal(*length, out);
    out.append("\r\n");
  } else if (framing.framing == Framing::kChunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  AppendConnection(exchange, framing.keep_alive, out);
  out.append("\r\n");
  return framing;
}

absl::Status AppendInterimHead(const Exchange& exchange, int status,
                               std::span<const Field> fields,
                               std::string& out) {
  if (exchange.version == Version::kHttp10) {
    return absl::InvalidArgumentError("an interim response to HTTP/1.0");
  }
  if (status < 100 || status > 199 || status == 101) {
    return absl::InvalidArgumentError(
        absl::StrCat("status ", status, " is not an interim response"));
  }
  const absl::StatusOr<Checked> checked = CheckFields(fields);
  if (!checked.ok()) return checked.status();

  AppendStatusLine(status, out);
  for (const Field& field : fields) {
    if (RoleOf(field.name) == Role::kPlain) AppendField(field, out);
  }
  out.append("\r\n");
  return absl::OkStatus();
}

BodyWriter::BodyWriter(const ResponseFraming& framing) : framing_(framing) {}

bool BodyWriter::Append(std::string_view data, std::string& out) {
  switch (framing_.framing) {
    case Framing::kNoBody:
      return true;
    case Framing::kLength:
      if (data.size() > framing_.content_length - written_bytes_) return false;
      break;
    case Framing::kChunked: {
      if (data.empty()) return true;  // A chunk of size 0 would end the body.
      char size[16];
      const auto result =
          std::to_chars(size, size + sizeof(size), data.size(), 16);
      out.append(size, result.ptr).append("\r\n").append(data).append("\r\n");
      return true;
    }
    case Framing::kClose:
      break;
  }
  written_bytes_ += data.size();
  out.append(data);
  return true;
}

bool BodyWriter::Finish(std::string& out) {
  if (framing_.framing == Framing::kChunked) out.append("0\r\n\r\n");
  return framing_.framing != Framing::kLength ||
         written_bytes_ == framing_.content_length;
}

}  // namespace apm::http1
