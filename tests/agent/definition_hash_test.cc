#include "agent/definition_hash.h"

#include <functional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace apm::agent {
namespace {

config::WorkerConfig Web() {
  config::WorkerConfig config;
  config.name = "web";
  config.exec = "/usr/bin/node";
  config.params = {"app.js", "-v"};
  config.path = "/srv/web";
  config.env = {{"PORT", "80"}};
  return config;
}

TEST(DefinitionHashTest, EverythingAProcessGetsAtItsStartChangesIt) {
  const std::vector<std::function<void(config::WorkerConfig&, RunAs&)>>
      changes = {
          [](auto&, auto&) {},
          [](auto& config, auto&) { config.exec = "/usr/bin/nodejs"; },
          [](auto& config, auto&) { config.params = {"app.js-v"}; },
          [](auto& config, auto&) {
            config.params = {"app.js", "-", "v"};
          },
          [](auto& config, auto&) { config.path = "/srv"; },
          [](auto& config, auto&) { config.env["PORT"] = "81"; },
          [](auto& config, auto&) { config.env["A"] = ""; },
          [](auto& config, auto&) { config.listeners.emplace_back(); },
          [](auto&, auto& run_as) { run_as.identity.uid = 1; },
          [](auto&, auto& run_as) { run_as.identity.gid = 1; },
      };
  std::set<uint64_t> hashes;
  for (const auto& change : changes) {
    config::WorkerConfig config = Web();
    RunAs run_as;
    change(config, run_as);
    hashes.insert(DefinitionHash(config, run_as));
  }
  EXPECT_EQ(hashes.size(), changes.size());
}

TEST(DefinitionHashTest, WhatTheSupervisorAloneNeedsDoesNot) {
  config::WorkerConfig config = Web();
  config.instances = 7;
  config.restart = config::RestartPolicy::kNever;
  config.stop_timeout = absl::Seconds(1);
  EXPECT_EQ(DefinitionHash(config, {}), DefinitionHash(Web(), {}));
}

}  // namespace
}  // namespace apm::agent
