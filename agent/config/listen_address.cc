#include "agent/config/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "agent/config/paths.h"
#include "agent/config/quantity.h"
#include "agent/config/utf8.h"
#include "base/status/status_macros.h"

namespace apm::config {
namespace {

absl::Status Bad(const ListenAddress& address, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "'%s' is not an address: %s", Quotable(address.text), why));
}

// Takes "scheme://" off `rest` and sets the protocols; no scheme is http.
absl::Status TakeScheme(std::string_view& rest, ListenAddress& address) {
  const size_t colon = rest.find("://");
  const bool bare = colon == std::string_view::npos;
  const std::string_view scheme = bare ? "http" : rest.substr(0, colon);
  if (!bare) rest.remove_prefix(colon + 3);
  address.http = scheme == "http";
  address.ws = scheme == "ws";
  if (address.http || address.ws) return absl::OkStatus();
  if (scheme == "https" || scheme == "wss" || scheme == "tcp" ||
      scheme == "tls") {
    return absl::UnimplementedError(absl::StrFormat(
        "'%s://' is not available in this version; use http:// or ws://",
        scheme));
  }
  return Bad(address,
             absl::StrFormat("unknown scheme '%s'; use http:// or ws://",
                             Quotable(scheme)));
}

absl::Status SetUnixPath(std::string_view path, std::string_view base,
                         ListenAddress& address) {
  address.kind = AddressKind::kUnixPath;
  if (path.empty() || path.ends_with('/')) {
    return Bad(address, "the name of the socket file is missing");
  }
  address.path = ResolvePath(path, base);
  if (address.path.size() <= kMaxUnixPathBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "the socket path '%s' has %d bytes and the kernel allows %d; use a "
      "shorter one, such as unix:/run/apm/NAME.sock",
      Quotable(address.path), address.path.size(), kMaxUnixPathBytes));
}

absl::Status SetUnixAbstract(std::string_view name, ListenAddress& address) {
  address.kind = AddressKind::kUnixAbstract;
  address.path = name;
  if (name.empty()) return Bad(address, "a name is missing after '@'");
  if (name.size() <= kMaxUnixPathBytes) return absl::OkStatus();
  return Bad(address,
             absl::StrFormat("the name has %d bytes and the kernel allows %d",
                             name.size(), kMaxUnixPathBytes));
}

// Stores the canonical form of a numeric host, so that one place has one text.
absl::Status SetHost(std::string_view host, bool bracketed,
                     ListenAddress& address) {
  const int family = bracketed ? AF_INET6 : AF_INET;
  address.kind = bracketed ? AddressKind::kTcp6 : AddressKind::kTcp4;
  // The one name that needs no resolver: RFC 6761 section 6.3 fixes it.
  if (host == "localhost" && !bracketed) host = "127.0.0.1";
  in6_addr number{};
  if (inet_pton(family, std::string(host).c_str(), &number) == 1) {
    char canonical[INET6_ADDRSTRLEN];
    inet_ntop(family, &number, canonical, sizeof canonical);
    address.host = canonical;
    return absl::OkStatus();
  }
  if (host == "*" || host.empty()) {
    return Bad(address,
               "write 127.0.0.1 for this host only, 0.0.0.0 for all of IPv4, "
               "[::] for all of IPv6");
  }
  if (host.find(':') != std::string_view::npos && !bracketed) {
    return Bad(address, "an IPv6 address needs brackets, as in [::1]:3000");
  }
  return Bad(address, absl::StrFormat("'%s' is a name; use an IP address",
                                      Quotable(host)));
}

absl::Status SetTcp(std::string_view rest, ListenAddress& address) {
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('/') != std::string_view::npos) {
    return Bad(address, "a listener has no path; end it after the port");
  }
  const bool bracketed = rest.starts_with('[');
  const size_t close = bracketed ? rest.find(']') : 0;
  if (close == std::string_view::npos) return Bad(address, "']' is missing");
  const size_t colon = bracketed ? close + 1 : rest.rfind(':');
  if (colon >= rest.size() || rest[colon] != ':') {
    return Bad(address, absl::StrFormat("the port is missing, as in %s:3000",
                                        Quotable(rest.substr(0, colon))));
  }
  const std::string_view port_text = rest.substr(colon + 1);
  const std::optional<uint64_t> port = ParseCount(port_text, 65535);
  if (!port) {
    return Bad(address, absl::StrFormat("'%s' is not a port from 0 to 65535",
                                        Quotable(port_text)));
  }
  address.port = static_cast<uint16_t>(*port);
  const std::string_view host =
      bracketed ? rest.substr(1, close - 1) : rest.substr(0, colon);
  return SetHost(host, bracketed, address);
}

bool IsWildcard(const ListenAddress& address) {
  return address.host == "0.0.0.0" || address.host == "::";
}

bool IsTcp(const ListenAddress& address) {
  return address.kind == AddressKind::kTcp4 ||
         address.kind == AddressKind::kTcp6;
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text,
                                                 AddressForm form,
                                                 std::string_view base) {
  ListenAddress address;
  address.text = text;
  std::string_view rest = text;
  if (text.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError("an address contains a NUL byte");
  }
  APM_RETURN_IF_ERROR(TakeScheme(rest, address));
  const bool bare = rest.size() == text.size();
  const bool has_colon = rest.find(':') != std::string_view::npos;

  if (rest.starts_with("unix:@")) {
    APM_RETURN_IF_ERROR(SetUnixAbstract(rest.substr(6), address));
  } else if (rest.starts_with("unix:")) {
    APM_RETURN_IF_ERROR(SetUnixPath(rest.substr(5), base, address));
  } else if (bare && form == AddressForm::kConfigFile) {
    return Bad(address,
               absl::StrFormat("the scheme is missing, as in http://%s%s",
                               has_colon ? "" : "unix:", Quotable(text)));
  } else if (bare && rest.starts_with('@')) {
    APM_RETURN_IF_ERROR(SetUnixAbstract(rest.substr(1), address));
  } else if (bare &&
             (rest.starts_with('/') || rest.starts_with('.') || !has_colon)) {
    APM_RETURN_IF_ERROR(SetUnixPath(rest, base, address));
  } else {
    APM_RETURN_IF_ERROR(SetTcp(rest, address));
  }
  return address;
}

std::string FormatAddress(const ListenAddress& address) {
  switch (address.kind) {
    case AddressKind::kTcp4:
      return absl::StrCat(address.host, ":", address.port);
    case AddressKind::kTcp6:
      return absl::StrCat("[", address.host, "]:", address.port);
    case AddressKind::kUnixPath:
      return absl::StrCat("unix:", address.path);
    case AddressKind::kUnixAbstract:
      return absl::StrCat("unix:@", address.path);
  }
  return "";
}

std::vector<std::string> FormatUrls(const ListenAddress& address) {
  std::vector<std::string> urls;
  if (address.http) urls.push_back("http://" + FormatAddress(address));
  if (address.ws) urls.push_back("ws://" + FormatAddress(address));
  return urls;
}

bool Clash(const ListenAddress& a, const ListenAddress& b) {
  if (a.kind != b.kind) return false;
  if (!IsTcp(a)) return a.path == b.path;
  if (a.port != b.port || a.port == 0) return false;
  return a.host == b.host || IsWildcard(a) || IsWildcard(b);
}

}  // namespace apm::config
