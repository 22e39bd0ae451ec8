#include "proxy/net/session_announcer.h"

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "base/status/status_macros.h"
#include "proxy/counters.h"
#include "proxy/upstream/instance.h"

namespace apm::net {
namespace {

using proxy::Add;

constexpr std::string_view kForwardedFor = "x-forwarded-for";

}  // namespace

// Fills addresses_; true if the peer's forwarding fields are believed.
bool SessionAnnouncer::Resolve(const http1::Request& request,
                               const Listener& listener, const Peer& peer) {
  addresses_.clear();
  const client_address::Policy& policy = listener.route->policy;
  if (!policy.trust_proxy) {
    addresses_.push_back(peer.text);
    return false;
  }
  header_lines_.clear();
  for (const http1::Field& field : request.fields) {
    if (field.name == kForwardedFor) header_lines_.push_back(field.value);
  }
  const client_address::ClientAddress resolved =
      client_address::Resolve(policy, peer.address, header_lines_);
  if (resolved.malformed) {
    Add(listener.route->worker->counters().forwarded_invalid);
  }
  if (!resolved.client) {
    addresses_.push_back(peer.text);
    return resolved.headers_believed;
  }
  address_texts_.clear();
  address_texts_.push_back(resolved.client->ToString());
  for (const client_address::IpAddress& hop : resolved.hops) {
    address_texts_.push_back(hop.ToString());
  }
  addresses_.assign(address_texts_.begin(), address_texts_.end());
  return resolved.headers_believed;
}

std::string_view SessionAnnouncer::ClientOf(const http1::Request& request,
                                            const Listener& listener,
                                            const Peer& peer) {
  Resolve(request, listener, peer);
  return addresses_.front();
}

absl::Status SessionAnnouncer::Announce(upstream::Session& session,
                                        std::string_view protocol,
                                        const http1::Request& request,
                                        const Listener& listener,
                                        const Peer& peer) {
  const bool believed = Resolve(request, listener, peer);
  fields_.clear();
  for (const http1::Field& field : request.fields) {
    if (!believed && client_address::IsForwardingHeader(field.name)) continue;
    fields_.push_back({field.name, field.value});
  }
  ipc::SessionMetadata metadata;
  metadata.session_id = session.id();
  metadata.session_data = session.saved_data;
  metadata.protocol = protocol;
  metadata.method = request.method;
  metadata.path = request.path;
  metadata.query = request.query;
  metadata.headers = fields_;
  metadata.remote_addresses = addresses_;
  // The port is the peer's: only true of the client where he is the peer.
  if (peer.port != 0 && addresses_.front() == peer.text) {
    metadata.remote_port = peer.port;
  }
  metadata.scheme = protocol;
  metadata.host = request.host;
  metadata.http_version =
      request.version == http1::Version::kHttp11 ? "1.1" : "1.0";
  metadata.listener = listener.spec.address;
  metadata.request_id = session.id();
  APM_RETURN_IF_ERROR(encoder_.Append(metadata, session.instance->head_detail(),
                                      session.instance->Output()));
  session.instance->OnAnnounced(session);
  return absl::OkStatus();
}

}  // namespace apm::net
