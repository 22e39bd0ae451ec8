#include "proxy/http1/response_writer.h"

#include <charconv>
#include <cstring>

#include <absl/strings/str_cat.h>

#include "proxy/http1/digits.h"

namespace apm::http1 {
namespace {

// Appends to a string without asking it for room each time: a head is made of
// many short pieces, and this is a third of the instructions of append().
class Appender {
 public:
  // REQUIRES: no more than `max_bytes` are put.
  Appender(std::string& out, size_t max_bytes) : out_(out), begin_(out.size()) {
    out_.resize(begin_ + max_bytes);
    at_ = out_.data() + begin_;
  }
  ~Appender() { out_.resize(static_cast<size_t>(at_ - out_.data())); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  void Put(std::string_view bytes) {
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

  void PutDecimal(uint64_t value) {
    at_ = std::to_chars(at_, at_ + kMaxDigits, value).ptr;
  }

  static constexpr size_t kMaxDigits = 20;

 private:
  std::string& out_;
  const size_t begin_;
  char* at_;
};

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kSeparator = ": ";

// Status line, framing and connection, besides the fields: the longest reason
// phrase has 31 bytes.
constexpr size_t kMaxOwnBytes = 200;

void PutStatusLine(int status, Appender& head) {
  if (status == 200) {  // Nearly always.
    head.Put("HTTP/1.1 200 OK\r\n");
    return;
  }
  head.Put("HTTP/1.1 ");
  head.PutDecimal(static_cast<uint64_t>(status));
  head.Put(" ");
  head.Put(ReasonPhrase(status));
  head.Put(kLineEnd);
}

void PutField(const Field& field, Appender& head) {
  head.Put(field.name);
  head.Put(kSeparator);
  head.Put(field.value);
  head.Put(kLineEnd);
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
  size_t bytes = 0;  // Of all field lines.
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
    checked.bytes += field.name.size() + kSeparator.size() +
                     field.value.size() + kLineEnd.size();
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

void PutConnection(const Exchange& exchange, bool keep_alive, Appender& head) {
  if (!keep_alive) {
    head.Put("Connection: close\r\n");
  } else if (exchange.version == Version::kHttp10) {
    head.Put("Connection: keep-alive\r\n");
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

  Appender head(out, checked->bytes + date_line.size() + kMaxOwnBytes);
  PutStatusLine(status, head);
  if (!checked->has_date) head.Put(date_line);
  for (const Field& field : fields) {
    const Role role = RoleOf(field.name);
    if (role == Role::kPlain || role == Role::kDate) PutField(field, head);
  }
  if (length) {
    head.Put("Content-Length: ");
    head.PutDecimal(*length);
    head.Put(kLineEnd);
  } else if (framing.framing == Framing::kChunked) {
    head.Put("Transfer-Encoding: chunked\r\n");
  }
  PutConnection(exchange, framing.keep_alive, head);
  head.Put(kLineEnd);
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

  Appender head(out, checked->bytes + kMaxOwnBytes);
  PutStatusLine(status, head);
  for (const Field& field : fields) {
    if (RoleOf(field.name) == Role::kPlain) PutField(field, head);
  }
  head.Put(kLineEnd);
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
