// Workers for the tests of agent/store.

#pragma once

#include <signal.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "agent/config/config.h"
#include "agent/config/listen_address.h"
#include "agent/store/desired_worker.h"

namespace apm::store {

inline DesiredWorker Worker(const std::string& name,
                            std::vector<uint32_t> ids = {}) {
  DesiredWorker worker;
  worker.name = name;
  worker.definition.name = name;
  worker.definition.exec = "/bin/" + name;
  worker.instance_ids = std::move(ids);
  return worker;
}

// One with no field at its default.
inline config::WorkerConfig FullDefinition() {
  config::WorkerConfig full;
  full.name = "web";
  full.exec = "node";
  full.params = {"server.js", "--greeting", "Grüß \"Gott\"\n"};
  full.path = "/srv/web";
  full.env = {{"A", "1"}, {"EMPTY", ""}};
  for (const std::string_view text :
       {"http://localhost:3000", "ws://[0::1]:3001", "unix:./app.sock",
        "http://unix:@app"}) {
    full.listeners.push_back(
        config::ParseListenAddress(text, config::AddressForm::kCommandLine,
                                   "/srv/web")
            .value());
  }
  full.listeners[0].ws = true;  // As two values of one place are joined.
  full.listeners[0].text += ", ws://localhost:3000";
  full.instances = 3;
  full.restart = config::RestartPolicy::kOnFailure;
  full.stop_signal = SIGQUIT;
  full.stop_timeout = absl::Milliseconds(1500);
  full.trust_proxy = true;
  full.trusted = {"10.0.0.0/8", "unix"};
  full.socket_mode = 0600;
  full.access_log = true;
  full.log = {.json = true,
              .max_bytes = 4096,
              .max_age = absl::Hours(24),
              .keep = 2,
              .max_lines = 100,
              .lines_per = absl::Seconds(30)};
  full.user = "bob";
  full.group = "staff";
  full.source = {.file = "/etc/apm/apm.conf", .line = 12};
  return full;
}

inline DesiredWorker FullWorker() {
  DesiredWorker full;
  full.name = "web";
  full.source = Source::kApi;
  full.definition = FullDefinition();
  full.owner = Owner{.uid = 1000, .gid = 100, .user = "bob"};
  full.instance_ids = {7, 8, 12};
  full.stopped = true;
  full.stopped_instances = {0, 2};
  full.instances = 5;
  full.deleting = true;
  full.changed = absl::FromUnixMillis(1'790'000'000'123);
  return full;
}

}  // namespace apm::store
