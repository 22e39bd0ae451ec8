#include "agent/config/plan.h"

#include <signal.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Action = PlannedChange::Action;

ListenAddress Listener(const std::string& text) {
  return ParseListenAddress(text, AddressForm::kCommandLine, "/srv").value();
}

// Nothing in it has its default.
WorkerConfig Web() {
  WorkerConfig web;
  web.name = "web";
  web.exec = "/usr/bin/node";
  web.params = {"server.js"};
  web.path = "/srv";
  web.env = {{"PORT", "1"}, {"TOKEN", "secret"}};
  web.listeners = {Listener("http://127.0.0.1:3000"), Listener("unix:./a")};
  web.instances = 2;
  web.restart = RestartPolicy::kOnFailure;
  web.stop_signal = SIGINT;
  web.stop_timeout = absl::Seconds(5);
  web.trust_proxy = true;
  web.trusted = {"10.0.0.0/8"};
  web.socket_mode = 0600;
  web.access_log = true;
  web.user = "www";
  web.group = "staff";
  web.source = {.file = "/etc/apm/apm.conf", .line = 7};
  return web;
}

WorkerConfig Named(std::string name) {
  WorkerConfig worker = Web();
  worker.name = std::move(name);
  return worker;
}

Config Files(std::vector<WorkerConfig> workers) {
  Config config;
  config.workers = std::move(workers);
  return config;
}

// What is done about Web() when a person has made `edit` to its block.
PlannedChange After(const std::function<void(WorkerConfig&)>& edit,
                    Overlay overlay = {}) {
  WorkerConfig edited = Web();
  edit(edited);
  const auto plan = Plan({{.definition = Web(), .overlay = overlay}},
                         Files({edited}), /*prune=*/false);
  EXPECT_EQ(plan.size(), 1U);
  return plan.empty() ? PlannedChange() : plan[0];
}

// ---- Which change asks for what ----

struct FieldCase {
  const char* name;
  std::function<void(WorkerConfig&)> edit;
  Action action;
  ChangeSteps steps;
  std::vector<std::string> fields;
};

constexpr ChangeSteps kNothing = {};
constexpr ChangeSteps kReplace = {.replace = true};

class PlanFieldTest : public ::testing::TestWithParam<FieldCase> {};

TEST_P(PlanFieldTest, IsPlannedAndNamed) {
  const PlannedChange change = After(GetParam().edit);
  EXPECT_EQ(change.action, GetParam().action);
  EXPECT_EQ(change.steps, GetParam().steps);
  EXPECT_EQ(change.fields, GetParam().fields);
}

INSTANTIATE_TEST_SUITE_P(
    EveryField, PlanFieldTest,
    ::testing::Values(
        FieldCase{"exec",
                  [](auto& worker) { worker.exec = "/bin/b"; },
                  Action::kRolling,
                  kReplace,
                  {"exec '/usr/bin/node' -> '/bin/b'"}},
        FieldCase{"params",
                  [](auto& worker) { worker.params.push_back("-v"); },
                  Action::kRolling,
                  kReplace,
                  {"params 'server.js' -> 'server.js -v'"}},
        FieldCase{"path",
                  [](auto& worker) { worker.path = "/opt"; },
                  Action::kRolling,
                  kReplace,
                  {"path '/srv' -> '/opt'"}},
        FieldCase{"env",
                  [](auto& worker) {
                    worker.env = {{"PORT", "2"}, {"HOST", "::"}};
                  },
                  Action::kRolling,
                  kReplace,
                  {"env PORT changed", "env TOKEN removed", "env HOST added"}},
        FieldCase{"user",
                  [](auto& worker) { worker.user = ""; },
                  Action::kRolling,
                  kReplace,
                  {"user 'www' -> ''"}},
        FieldCase{"group",
                  [](auto& worker) { worker.group = "www"; },
                  Action::kRolling,
                  kReplace,
                  {"group 'staff' -> 'www'"}},
        FieldCase{"stop_signal",
                  [](auto& worker) { worker.stop_signal = SIGTERM; },
                  Action::kRolling,
                  kReplace,
                  {"stop_signal INT -> TERM"}},
        FieldCase{"listeners",
                  [](auto& worker) {
                    worker.listeners[0] = Listener("ws://127.0.0.1:3000");
                  },
                  Action::kUpdate,
                  {.listeners = true},
                  {"server http://127.0.0.1:3000 removed",
                   "server ws://127.0.0.1:3000 added"}},
        FieldCase{"instances",
                  [](auto& worker) { worker.instances = 4; },
                  Action::kUpdate,
                  {.scale = true},
                  {"instances 2 -> 4"}},
        FieldCase{"restart",
                  [](auto& worker) { worker.restart = RestartPolicy::kNever; },
                  Action::kUpdate,
                  kNothing,
                  {"restart on-failure -> never"}},
        FieldCase{
            "stop_timeout",
            [](auto& worker) { worker.stop_timeout = absl::Milliseconds(1); },
            Action::kUpdate,
            kNothing,
            {"stop_timeout 5s -> 1ms"}},
        FieldCase{"trust_proxy",
                  [](auto& worker) { worker.trust_proxy = false; },
                  Action::kUpdate,
                  kNothing,
                  {"trust_proxy on -> off"}},
        FieldCase{"trusted",
                  [](auto& worker) { worker.trusted = {"unix"}; },
                  Action::kUpdate,
                  kNothing,
                  {"trusted 10.0.0.0/8 removed", "trusted unix added"}},
        FieldCase{"socket_mode",
                  [](auto& worker) { worker.socket_mode = 0666; },
                  Action::kUpdate,
                  {.socket_mode = true},
                  {"socket_mode 0600 -> 0666"}},
        FieldCase{"log",
                  [](auto& worker) {
                    worker.log.max_bytes = 1000;
                    worker.log.keep = 2;
                    worker.log.max_age = absl::Hours(24);
                    worker.log.json = true;
                    worker.log.max_lines = 200;
                    worker.log.lines_per = absl::Seconds(30);
                  },
                  Action::kUpdate,
                  kNothing,
                  {"log 'rotate size=20M keep=5 format text' -> 'rotate "
                   "size=1000 keep=2 age=24h format json rate 200/30s'"}},
        FieldCase{"access_log",
                  [](auto& worker) { worker.access_log = false; },
                  Action::kUpdate,
                  kNothing,
                  {"access_log on -> off"}}),
    [](const auto& test) { return test.param.name; });

TEST(PlanTest, AgreementNeedsNothing) {
  EXPECT_THAT(Plan({{.definition = Web()}}, Files({Web()}), /*prune=*/true),
              IsEmpty());
}

TEST(PlanTest, ABlockThatMovedInItsFileIsTheSame) {
  WorkerConfig moved = Web();
  moved.source = {.file = "/etc/apm/other.conf", .line = 99};
  EXPECT_THAT(Plan({{.definition = Web()}}, Files({moved}), /*prune=*/true),
              IsEmpty());
}

TEST(PlanTest, OrderAndSpellingOfAddressesMakeNoDifference) {
  WorkerConfig reordered = Web();
  reordered.listeners = {Listener("http://unix:/srv/a"),
                         Listener("http://127.0.0.1:3000")};
  EXPECT_THAT(Plan({{.definition = Web()}}, Files({reordered}), false),
              IsEmpty());
}

TEST(PlanTest, SeveralDifferencesAreOneChange) {
  const PlannedChange change = After([](WorkerConfig& worker) {
    worker.exec = "/bin/b";
    worker.instances = 3;
    worker.listeners.pop_back();
  });
  EXPECT_EQ(change.action, Action::kRolling);
  EXPECT_EQ(change.steps,
            (ChangeSteps{.replace = true, .listeners = true, .scale = true}));
  EXPECT_EQ(change.wanted->exec, "/bin/b");
}

TEST(PlanTest, BetweenPipeAndPlainModeAllProcessesStopFirst) {
  const PlannedChange change =
      After([](WorkerConfig& worker) { worker.listeners.clear(); });
  EXPECT_EQ(change.action, Action::kRolling);
  EXPECT_EQ(change.steps,
            (ChangeSteps{.replace = true, .at_once = true, .listeners = true}));
  EXPECT_EQ(change.fields[0], "mode pipe -> plain");
}

TEST(PlanTest, ValuesOfVariablesAreNotTold) {
  const PlannedChange change = After([](WorkerConfig& worker) {
    worker.env["TOKEN"] = "hush";
    worker.env["PASSWORD"] = "hush";
  });
  for (const std::string& field : change.fields) {
    EXPECT_THAT(field, AllOf(::testing::Not(HasSubstr("hush")),
                             ::testing::Not(HasSubstr("secret"))));
  }
}

// ---- Workers that come and go ----

TEST(PlanTest, WhatIsNewIsCreated) {
  const auto plan = Plan({}, Files({Web()}), /*prune=*/false);
  ASSERT_EQ(plan.size(), 1U);
  EXPECT_EQ(plan[0].action, Action::kCreate);
  EXPECT_EQ(plan[0].wanted, Web());
}

TEST(PlanTest, WhatIsGoneIsDeletedOnlyByPruning) {
  const std::vector<CurrentWorker> current = {{.definition = Web()}};
  EXPECT_EQ(Plan(current, {}, /*prune=*/false)[0].action, Action::kOrphan);
  EXPECT_EQ(Plan(current, {}, /*prune=*/true)[0].action, Action::kDelete);
}

TEST(PlanTest, WorkersOfTheApiAreNotTouched) {
  EXPECT_THAT(
      Plan({{.definition = Web(), .from_files = false}}, {}, /*prune=*/true),
      IsEmpty());
}

TEST(PlanTest, ANameThatACommandHasTakenIsRefusedWithBothWaysOut) {
  const auto plan = Plan({{.definition = Web(), .from_files = false}},
                         Files({Web()}), /*prune=*/true);
  ASSERT_EQ(plan.size(), 1U);
  EXPECT_EQ(plan[0].refusal,
            "there is a worker 'web' already that was created by command; "
            "delete that one and apply again: apmctl delete web, or rename the "
            "one at /etc/apm/apm.conf:7");
}

TEST(PlanTest, AWorkerWhoseBlockHasErrorsIsNotGone) {
  Config broken;
  broken.disabled = {{.name = "web", .source = {}}};
  EXPECT_THAT(Plan({{.definition = Web()}}, broken, /*prune=*/true), IsEmpty());
}

TEST(PlanTest, ABrokenBlockWithoutANameMayBeAnyOfThem) {
  Config broken;
  broken.disabled.emplace_back();
  EXPECT_THAT(Plan({{.definition = Web()}}, broken, /*prune=*/true), IsEmpty());
}

TEST(PlanTest, ChangesAreInTheOrderOfNames) {
  const auto plan =
      Plan({{.definition = Named("b")}, {.definition = Named("d")}},
           Files({Named("e"), Named("a"), Named("c")}), /*prune=*/true);
  std::vector<std::string> names;
  for (const PlannedChange& change : plan) names.push_back(change.worker);
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "d", "e"));
}

// ---- Commands since the last apply ----

void Unedited(WorkerConfig& /*worker*/) {}

TEST(PlanOverlayTest, AStoppedWorkerStarts) {
  const PlannedChange change = After(Unedited, {.stopped = true});
  EXPECT_EQ(change.action, Action::kOverlay);
  EXPECT_EQ(change.steps, (ChangeSteps{.start = true}));
  EXPECT_THAT(change.fields, ElementsAre("no longer stopped"));
}

TEST(PlanOverlayTest, AScaledWorkerGetsItsNumberBack) {
  const PlannedChange change = After(Unedited, {.instances = 8});
  EXPECT_EQ(change.action, Action::kOverlay);
  EXPECT_EQ(change.steps, (ChangeSteps{.scale = true}));
  EXPECT_THAT(change.fields, ElementsAre("instances 8 -> 2"));
}

TEST(PlanOverlayTest, ADeletedWorkerComesBack) {
  const PlannedChange change = After(Unedited, {.deleted = true});
  EXPECT_EQ(change.action, Action::kOverlay);
  EXPECT_EQ(change.steps, (ChangeSteps{.start = true}));
  EXPECT_THAT(change.fields, ElementsAre("no longer deleted"));
}

TEST(PlanOverlayTest, WhatDoesNotRunIsNotReplaced) {
  const PlannedChange change = After(
      [](WorkerConfig& worker) { worker.exec = "/bin/b"; }, {.stopped = true});
  EXPECT_EQ(change.action, Action::kUpdate);
  EXPECT_EQ(change.steps, (ChangeSteps{.start = true}));
}

TEST(PlanOverlayTest, OfAWorkerThatRunsSingleInstancesStart) {
  const PlannedChange change =
      After([](WorkerConfig& worker) { worker.exec = "/bin/b"; },
            {.stopped_instances = {1}});
  EXPECT_EQ(change.action, Action::kRolling);
  EXPECT_EQ(change.steps, (ChangeSteps{.replace = true, .start = true}));
  EXPECT_EQ(change.fields.back(), "instance 1 no longer stopped");
}

TEST(PlanOverlayTest, AnEditThatConfirmsAScaleChangesOnlyTheDefinition) {
  const PlannedChange change = After(
      [](WorkerConfig& worker) { worker.instances = 8; }, {.instances = 8});
  EXPECT_EQ(change.action, Action::kUpdate);
  EXPECT_EQ(change.steps, kNothing);
  EXPECT_THAT(change.fields, ElementsAre("instances 2 -> 8"));
}

TEST(PlanOverlayTest, AScaleBackToTheDefinitionIsNoChange) {
  EXPECT_THAT(Plan({{.definition = Web(), .overlay = {.instances = 2}}},
                   Files({Web()}), /*prune=*/false),
              IsEmpty());
}

TEST(PlanOverlayTest, WhatWasDeletedByCommandAndIsGoneNeedsNoPruning) {
  const auto plan = Plan({{.definition = Web(), .overlay = {.deleted = true}}},
                         {}, /*prune=*/false);
  ASSERT_EQ(plan.size(), 1U);
  EXPECT_EQ(plan[0].action, Action::kDelete);
}

TEST(DescribeOverlayTest, TellsEachCommandThatStillCounts) {
  EXPECT_THAT(DescribeOverlay(Web(), {}), IsEmpty());
  EXPECT_THAT(DescribeOverlay(Web(), {.stopped = true, .instances = 8}),
              ElementsAre("stopped", "instances 2 -> 8"));
  EXPECT_THAT(DescribeOverlay(Web(), {.stopped_instances = {0, 1}}),
              ElementsAre("instance 0 stopped", "instance 1 stopped"));
  EXPECT_THAT(DescribeOverlay(Web(), {.instances = 2}), IsEmpty());
  EXPECT_THAT(DescribeOverlay(Web(), {.deleted = true}),
              ElementsAre("deleted"));
}

}  // namespace
}  // namespace apm::config
