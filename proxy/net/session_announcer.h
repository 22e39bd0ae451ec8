// Writes the first frame of a session: a request as its worker sees it.
//
// Here is decided who the client is. Forwarding fields of a peer that is not
// trusted are left out, so that no worker can be fooled by them.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "ipc/session_head.h"
#include "proxy/http1/request.h"
#include "proxy/net/listener.h"
#include "proxy/upstream/session.h"

namespace apm::net {

// Reuses its memory between requests. Thread-compatible.
class SessionAnnouncer {
 public:
  // Appends the frame to the session's instance. `protocol` is "http" or "ws".
  // kResourceExhausted if the head is too large for a worker.
  absl::Status Announce(upstream::Session& session, std::string_view protocol,
                        const http1::Request& request, const Listener& listener,
                        const Peer& peer);

  // The client of `request` as text: for the log. Valid until the next call.
  std::string_view ClientOf(const http1::Request& request,
                            const Listener& listener, const Peer& peer);

 private:
  bool Resolve(const http1::Request& request, const Listener& listener,
               const Peer& peer);

  ipc::SessionHeadEncoder encoder_;
  std::vector<ipc::Field> fields_;
  std::vector<std::string_view> header_lines_;
  std::vector<std::string> address_texts_;
  std::vector<std::string_view> addresses_;
};

}  // namespace apm::net
