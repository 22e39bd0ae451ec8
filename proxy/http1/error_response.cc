#include "proxy/http1/error_response.h"

#include <cstddef>
#include <string>

namespace apm::http1 {
namespace {

// After these the end of the refused message is unknown, or not waited for.
bool LosesPosition(int status) {
  switch (status) {
    case 400:
    case 405:  // CONNECT: what follows is not HTTP (RFC 9110 9.3.6).
    case 408:
    case 413:
    case 414:
    case 431:
    case 501:
    case 505:
      return true;
    default:
      return false;
  }
}

std::string_view DefaultDetail(int status) {
  switch (status) {
    case 400:
      return "the request is not valid HTTP";
    case 404:
      return "nothing is served here";
    case 405:
      return "the method is not allowed";
    case 408:
      return "the request did not arrive in time";
    case 413:
      return "the request body is too large";
    case 414:
      return "the request line is too long";
    case 426:
      return "this address speaks WebSocket, version 13";
    case 429:
      return "too many requests, please slow down";
    case 431:
      return "the request head is too large";
    case 501:
      return "the request needs something that is not supported";
    case 502:
      return "the application did not give a valid answer";
    case 503:
      return "no application instance is free, please try again";
    case 504:
      return "the application did not answer in time";
    case 505:
      return "HTTP/1.1 and HTTP/1.0 are spoken here";
    default:
      return "the request could not be answered";
  }
}

// Connection carries two things here: whether it lives, and that Upgrade is
// meant for this hop (RFC 9110 7.8).
std::string_view ConnectionLine(const Exchange& exchange, bool keep_alive,
                                int status) {
  if (status == 426) {
    return keep_alive ? "Connection: upgrade\r\n"
                      : "Connection: upgrade, close\r\n";
  }
  if (!keep_alive) return "Connection: close\r\n";
  return exchange.version == Version::kHttp10 ? "Connection: keep-alive\r\n"
                                              : "";
}

// What the status requires besides (RFC 9110 15.5.6, 15.5.22; RFC 6455 4.4).
std::string_view StatusLines(int status) {
  switch (status) {
    case 405:
      return "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
    case 426:
      return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    default:
      return "";
  }
}

}  // namespace

bool AppendErrorResponse(const Exchange& exchange, const ErrorResponse& error,
                         std::string_view date_line, std::string& out) {
  const bool keep_alive = exchange.keep_alive && !LosesPosition(error.status);
  const std::string_view detail =
      error.detail.empty() ? DefaultDetail(error.status) : error.detail;
  std::string title = std::to_string(error.status);
  title.append(" ").append(ReasonPhrase(error.status));
  const size_t body_bytes = title.size() + 2 + detail.size() + 1;  // ": ", LF.

  out.append("HTTP/1.1 ").append(title).append("\r\n").append(date_line);
  out.append("Content-Type: text/plain; charset=utf-8\r\n");
  out.append("Content-Length: ").append(std::to_string(body_bytes));
  out.append("\r\nCache-Control: no-store\r\n");
  out.append(StatusLines(error.status));
  if (error.retry_after_seconds) {
    out.append("Retry-After: ");
    out.append(std::to_string(*error.retry_after_seconds)).append("\r\n");
  }
  out.append(ConnectionLine(exchange, keep_alive, error.status));
  out.append("\r\n");
  if (!exchange.head_request) {
    out.append(title).append(": ").append(detail).append("\n");
  }
  return keep_alive;
}

}  // namespace apm::http1
