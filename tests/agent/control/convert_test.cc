#include "agent/control/convert.h"

#include <string>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::control {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

v1::ScaleWorkerRequest Scale(const std::string& name, uint32_t instances) {
  v1::ScaleWorkerRequest request;
  request.set_name(name);
  request.set_instances(instances);
  return request;
}

agent::WorkerView OneInstance() {
  agent::WorkerView view;
  view.config.name = "web";
  view.state.instances.emplace_back();
  return view;
}

TEST(ConvertWorkerTest, AWorkerWithListenersSpeaksThePipeProtocol) {
  agent::WorkerView view = OneInstance();
  EXPECT_EQ(ToProto(view).mode(), "plain");
  view.config.listeners.emplace_back();
  EXPECT_EQ(ToProto(view).mode(), "pipe");
}

TEST(ConvertWorkerTest, AListenerIsShownOncePerProtocol) {
  agent::WorkerView view = OneInstance();
  config::ListenAddress& listener = view.config.listeners.emplace_back();
  listener.http = true;
  listener.ws = true;
  listener.host = "127.0.0.1";
  listener.port = 3000;
  EXPECT_THAT(ToProto(view).servers(),
              ElementsAre("http://127.0.0.1:3000", "ws://127.0.0.1:3000"));
}

TEST(ConvertWorkerTest, WhatDoesNotRunHasZeros) {
  const v1::Worker worker = ToProto(OneInstance());
  const v1::Instance& instance = worker.instances(0);
  EXPECT_EQ(instance.pid(), 0);
  EXPECT_EQ(instance.uptime_ms(), 0);
  EXPECT_EQ(instance.next_retry_unix_ms(), 0);
  EXPECT_FALSE(instance.has_last_exit());
}

TEST(ConvertWorkerTest, TellsTheLastExitAndTheNextTry) {
  agent::WorkerView view = OneInstance();
  view.state.instances[0].last_exit =
      supervisor::ProcessExit{.signal = 9,
                              .user_time = absl::Milliseconds(20),
                              .system_time = absl::Milliseconds(3),
                              .max_rss_kb = 2,
                              .unix_ms = 5};
  view.state.instances[0].next_retry_at = absl::FromUnixMillis(7);
  const v1::Worker worker = ToProto(view);
  const v1::Instance& instance = worker.instances(0);
  EXPECT_EQ(instance.last_exit().text(), "killed by SIGKILL");
  EXPECT_EQ(instance.last_exit().cpu_ms(), 23U);
  EXPECT_EQ(instance.last_exit().max_rss_bytes(), 2048U);
  EXPECT_EQ(instance.last_exit().at_unix_ms(), 5);
  EXPECT_EQ(instance.next_retry_unix_ms(), 7);
}

TEST(ConvertWorkerTest, WhatAWorkerSaysIsMadeUtf8) {
  agent::WorkerView view = OneInstance();
  view.config.params = {"\xFF"};
  view.problem = "bad \xFE output";
  const v1::Worker worker = ToProto(view);
  EXPECT_THAT(worker.config().params(), ElementsAre("\xEF\xBF\xBD"));
  EXPECT_EQ(worker.problem(), "bad \xEF\xBF\xBD output");
}

TEST(ConvertConfigTest, WhatIsNotGivenStaysEmpty) {
  const auto fields = FromProto(v1::WorkerConfig());
  ASSERT_THAT(fields, IsOk());
  EXPECT_EQ(fields->instances, "");
  EXPECT_EQ(fields->stop_timeout, "");
  EXPECT_EQ(fields->trust_proxy, "");
}

TEST(ConvertConfigTest, NumbersBecomeDirectives) {
  v1::WorkerConfig config;
  config.set_instances(4);
  config.set_stop_timeout_ms(2500);
  config.set_trust_proxy(true);
  (*config.mutable_env())["A"] = "1";
  const auto fields = FromProto(config);
  ASSERT_THAT(fields, IsOk());
  EXPECT_EQ(fields->instances, "4");
  EXPECT_EQ(fields->stop_timeout, "2500ms");
  EXPECT_EQ(fields->trust_proxy, "true");
  EXPECT_THAT(fields->env, ElementsAre(Pair("A", "1")));
}

TEST(ConvertConfigTest, AWorkerReadsBackAsItWasWritten) {
  v1::WorkerConfig config;
  config.set_name("web");
  config.set_exec("/usr/bin/node");
  config.add_params("server.js");
  config.set_path("/srv");
  config.add_servers("http://127.0.0.1:3000");
  config.set_instances(2);
  config.set_restart("on-failure");
  config.set_stop_signal("INT");
  config.set_stop_timeout_ms(2000);
  config.set_socket_mode("0600");
  config.set_access_log(true);
  const auto worker = config::ValidateWorker(FromProto(config).value());
  ASSERT_THAT(worker, IsOk());
  agent::WorkerView view;
  view.config = *worker;
  v1::WorkerConfig read = ToProto(view).config();
  read.clear_trusted();  // Has defaults.
  EXPECT_EQ(read.SerializeAsString(), config.SerializeAsString());
}

TEST(ConvertConfigTest, TheUserCannotBeChosen) {
  v1::WorkerConfig config;
  config.set_user("root");
  EXPECT_THAT(FromProto(config), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(CheckScaleTest, AWorkerHasOneTo1024Instances) {
  EXPECT_THAT(CheckScale(Scale("web", 1)), IsOk());
  EXPECT_THAT(CheckScale(Scale("web", 1024)), IsOk());
  EXPECT_EQ(CheckScale(Scale("web", 1025)),
            absl::InvalidArgumentError("'web' cannot have 1025 instances; the "
                                       "limit of a worker is 1024"));
}

TEST(CheckScaleTest, NoneAtAllIsAStop) {
  EXPECT_EQ(CheckScale(Scale("web", 0)),
            absl::InvalidArgumentError("'web' cannot have 0 instances; stop it "
                                       "instead: apmctl stop web"));
}

TEST(CheckScaleTest, AnInstanceHasNoNumberOfThem) {
  EXPECT_EQ(CheckScale(Scale("web/1", 3)),
            absl::InvalidArgumentError("'web/1' is one instance; it is its "
                                       "worker that has a number of them: "
                                       "apmctl scale web 3"));
}

TEST(ConvertApplyTest, ActionsAreTheWordsOfTheApi) {
  using Action = agent::ConfigChange::Action;
  agent::ApplyReport report;
  for (const Action action :
       {Action::kCreate, Action::kUpdate, Action::kRolling, Action::kDelete,
        Action::kOverlay, Action::kOrphan}) {
    report.changes.emplace_back().action = action;
  }
  std::vector<std::string> words;
  const v1::ApplyConfigResponse proto = ToProto(report);
  for (const v1::ConfigChange& change : proto.changes()) {
    words.push_back(change.action());
  }
  EXPECT_THAT(words, ElementsAre("create", "update", "rolling", "delete",
                                 "overlay", "orphan"));
}

TEST(ConvertWorkerTest, TellsWhatCommandsChangedAndWhatIsNotStored) {
  agent::WorkerView view = OneInstance();
  view.overlays = {"stopped", "instances 4 -> 8"};
  view.warnings = {"the disk is full"};
  const v1::Worker worker = ToProto(view);
  EXPECT_THAT(worker.overlays(), ElementsAre("stopped", "instances 4 -> 8"));
  EXPECT_THAT(worker.warnings(), ElementsAre("the disk is full"));
}

TEST(ConvertLogTest, ALogThatIsTooLongForAMessageKeepsItsEnd) {
  std::vector<logs::LogLine> lines(100);
  for (logs::LogLine& line : lines) {
    line.text = std::string(logs::kMaxLineBytes, 'x');
  }
  lines.back().text = "the end";
  const v1::ReadLogResponse response =
      ToProto(lines, {.worker = "web", .path = "/log"});
  EXPECT_LT(response.ByteSizeLong(), size_t{4} << 20);
  EXPECT_GT(response.lines_size(), 40);
  EXPECT_EQ(response.lines(response.lines_size() - 1).text(), "the end");
  EXPECT_EQ(response.lines(0).worker(), "web");
}

TEST(ConvertLogTest, NoLinesIsAnAnswer) {
  const v1::ReadLogResponse response =
      ToProto(std::vector<logs::LogLine>(), {.worker = "web", .path = "/log"});
  EXPECT_THAT(response.lines(), IsEmpty());
  EXPECT_EQ(response.file(), "/log");
}

}  // namespace
}  // namespace apm::control
