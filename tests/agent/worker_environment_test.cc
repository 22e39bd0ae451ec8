#include "agent/worker_environment.h"

#include <cstdint>
#include <optional>
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
                            .version = "1.2.3",
                            .daemon_id = "4f0c5d2e8a917b36"};
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
      BuildEnvironment(kBase, Worker(), kUser, 2, 17, 1),
      AllOf(Contains("APM_INDEX=2"), Contains("APM_NAME=web"),
            Contains("APM_WORKER_ID=17"), Contains("APM_VERSION=1.2.3"),
            Contains("APM_CONNECTORS=/opt/connectors"),
            Contains("NODE_APP_INSTANCE=2"), Contains("PM2_INSTANCE_ID=2")));
}

TEST(BuildEnvironmentTest, IsThatOfTheUserItRunsAs) {
  EXPECT_THAT(BuildEnvironment(kBase, Worker(), kUser, 0, 0, 1),
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
      BuildEnvironment(kBase, worker, kUser, 0, 0, 1),
      AllOf(Contains("PATH=/custom"), Contains("NODE_APP_INSTANCE=mine")));
}

TEST(BuildEnvironmentTest, ConfigurationCannotForgeApmVariables) {
  config::WorkerConfig worker = Worker();
  worker.env["APM_NAME"] = "other";
  EXPECT_THAT(BuildEnvironment(kBase, worker, kUser, 0, 0, 1),
              AllOf(Contains("APM_NAME=web"), Not(Contains("APM_NAME=other"))));
}

TEST(BuildEnvironmentTest, TagsTheProcessSoThatASweepFindsIt) {
  EXPECT_THAT(BuildEnvironment(kBase, Worker(), kUser, 2, 17, 5),
              Contains("APM_PROCESS=4f0c5d2e8a917b36/web/2/5"));
}

TEST(BuildEnvironmentTest, ConfigurationCannotForgeTheTag) {
  config::WorkerConfig worker = Worker();
  worker.env["APM_PROCESS"] = "4f0c5d2e8a917b36/other/0/1";
  EXPECT_THAT(BuildEnvironment(kBase, worker, kUser, 0, 0, 5),
              AllOf(Contains("APM_PROCESS=4f0c5d2e8a917b36/web/0/5"),
                    Not(Contains("APM_PROCESS=4f0c5d2e8a917b36/other/0/1"))));
  EnvironmentBase nameless = kBase;
  nameless.daemon_id.clear();
  EXPECT_THAT(BuildEnvironment(nameless, worker, kUser, 0, 0, 5),
              Not(Contains(StartsWith("APM_PROCESS="))));
}

TEST(ProcessTagTest, IsReadAsItWasWritten) {
  const ProcessTag tag{"4f0c5d2e8a917b36", {"web", 2, uint64_t{1} << 40}};
  EXPECT_EQ(FormatProcessTag(tag), "4f0c5d2e8a917b36/web/2/1099511627776");
  EXPECT_EQ(ParseProcessTag(FormatProcessTag(tag)), tag);
}

TEST(ProcessTagTest, NothingElseIsATag) {
  for (const char* text :
       {"", "/", "///", "4f0c5d2e8a917b36", "4f0c5d2e8a917b36/web",
        "4f0c5d2e8a917b36/web/2", "4f0c5d2e8a917b36//2/7",
        "4f0c5d2e8a917b3/web/2/7", "4F0C5D2E8A917B36/web/2/7",
        "4f0c5d2e8a917b36/web/2/", "4f0c5d2e8a917b36/web//7",
        "4f0c5d2e8a917b36/web/02/7", "4f0c5d2e8a917b36/web/-2/7",
        "4f0c5d2e8a917b36/web/2/7 ", "4f0c5d2e8a917b36/web/4294967296/7"}) {
    EXPECT_EQ(ParseProcessTag(text), std::nullopt) << text;
  }
}

TEST(BuildEnvironmentTest, OnlyPipeWorkersHearOfTheProtocol) {
  config::WorkerConfig worker = Worker();
  EXPECT_THAT(BuildEnvironment(kBase, worker, kUser, 0, 0, 1),
              Not(Contains(StartsWith("APM_PROTOCOL="))));
  worker.listeners.emplace_back();
  EXPECT_THAT(BuildEnvironment(kBase, worker, kUser, 0, 0, 1),
              Contains("APM_PROTOCOL=1"));
}

}  // namespace
}  // namespace apm::agent
