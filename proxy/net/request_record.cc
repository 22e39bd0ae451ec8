#include "proxy/net/request_record.h"

#include <time.h>

#include <string_view>

#include "proxy/access_log.h"
#include "proxy/counters.h"

namespace apm::net {
namespace {

using proxy::Add;

std::string_view ValueOf(const http1::Request& request, std::string_view name) {
  const http1::Field* field = request.Find(name);
  return field != nullptr ? field->value : std::string_view();
}

void CountStatus(proxy::WorkerCounters& counters, int status) {
  if (status >= 100 && status < 600) {
    Add(counters.responses_by_class[status / 100 - 1]);
  }
  if (status == 502) Add(counters.responses_502);
  if (status == 503) Add(counters.responses_503);
  if (status == 504) Add(counters.responses_504);
}

}  // namespace

void RequestRecord::Begin(NetContext& context, Listener& listener,
                          const Peer& peer, const http1::Request& request) {
  proxy::WorkerCounters& counters = listener.route->worker->counters();
  Add(counters.requests);
  Add(counters.bytes_in, request.head_bytes);
  if (request.dropped_fields != 0) {
    Add(counters.headers_dropped, request.dropped_fields);
  }
  begun_ = true;
  body_bytes_ = 0;
  started_ = context.loop.Now();
  if (!listener.route->access_log) return;

  remote_ = context.announcer.ClientOf(request, listener, peer);
  request_line_.assign(request.method);
  request_line_ += ' ';
  request_line_ += request.target;
  request_line_ +=
      request.version == http1::Version::kHttp11 ? " HTTP/1.1" : " HTTP/1.0";
  referer_ = ValueOf(request, "referer");
  user_agent_ = ValueOf(request, "user-agent");
}

void RequestRecord::End(NetContext& context, Listener& listener, int status) {
  if (!begun_) return;
  begun_ = false;
  proxy::WorkerCounters& counters = listener.route->worker->counters();
  Add(counters.requests_done);
  CountStatus(counters, status);
  // A log that appeared in the meantime knows nothing of this request.
  if (!listener.route->access_log || request_line_.empty()) return;
  proxy::AccessLog& log = *listener.route->access_log;
  if (log.empty()) context.logs_to_flush.push_back(&log);
  log.Add({.remote = remote_,
           .request_line = request_line_,
           .status = status,
           .body_bytes = body_bytes_,
           .referer = referer_,
           .user_agent = user_agent_,
           .took = context.loop.Now() - started_},
          time(nullptr));
  request_line_.clear();
}

}  // namespace apm::net
