#include "agent/worker_environment.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/config/config.h"
#include "agent/user_database.h"

namespace apm::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Not;
using ::testing::StartsWith;

const EnvironmentBase kBase{.path = "/usr/bin:/bin",
                            .locale = {{"LANG", "C.UTF-8"}},
                            .connectors = "/opt/connectors",
                            .version = "1.2.3"};
const Identity kUser{.uid = 7,
                     .gid = 7,
                     .groups = {7},
                     .name = "deploy",
                     .home = "/home/deploy",
                     .shell = "/bin/sh"};

config::WorkerConfig Worker() {
  config::WorkerConfig worker;
  worker.name = "web";
  worker.path = "/srv/web";
  return worker;
}

TEST(BuildEnvironmentTest, TellsTheWorkerWhoItIs) {
  EXPECT_THAT(
      BuildEnvironment(kBase, Worker(), kUser, 2, 17),
      AllOf(Contains("APM_INDEX=2"), Contains("APM_NAME=web"),
            Contains("APM_WORKER_ID=17"), Contains("APM_VERSION=1.2.3"),
            Contains("APM_CONNECTORS=/opt/connectors"),
            Contains("NODE_APP_INSTANCE=2"), Contains("PM2_INSTANCE_ID=2")));
}

TEST(BuildEnvironmentTest, IsThatOfTheUserItRunsAs) {
  EXPECT_THAT(BuildEnvironment(kBase, Worker(), kUser, 0, 0),
              AllOf(Contains("HOME=/home/deploy"), Contains("USER=deploy"),
                    Contains("LOGNAME=deploy"), Contains("SHELL=/bin/sh"),
                    Contains("PWD=/srv/web"), Contains("LANG=C.UTF-8")));
}

TEST(BuildEnvironmentTest, ConfigurationWinsOverTheBase) {
  config::WorkerConfig worker = Worker();
  worker.env["PATH"] = "/custom";
  worker.env["NODE_APP_INSTANCE"] = "mine";
  EXPECT_EQ(SearchPath(kBase, worker), "/custom");
  EXPECT_THAT(
      BuildEnvironment(kBase, worker, kUser, 0, 0),
      AllOf(Contains("PATH=/custom"), Contains("NODE_APP_INSTANCE=mine")));
}

TEST(BuildEnvironmentTest, ConfigurationCannotForgeApmVariables) {
  config::WorkerConfig worker = Worker();
  worker.env["APM_NAME"] = "other";
  EXPECT_THAT(BuildEnvironment(kBase, worker, kUser, 0, 0),
              AllOf(Contains("APM_NAME=web"), Not(Contains("APM_NAME=other"))));
}

TEST(BuildEnvironmentTest, OnlyPipeWorkersHearOfTheProtocol) {
  config::WorkerConfig worker = Worker();
  EXPECT_THAT(BuildEnvironment(kBase, worker, kUser, 0, 0),
              Not(Contains(StartsWith("APM_PROTOCOL="))));
  worker.listeners.emplace_back();
  EXPECT_THAT(BuildEnvironment(kBase, worker, kUser, 0, 0),
              Contains("APM_PROTOCOL=1"));
}

}  // namespace
}  // namespace apm::agent
