#include "agent/config/load.h"

#include <signal.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log/log.h"
#include "tests/agent/config/memory_source.h"

namespace apm::config {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kFile[] = "/etc/apm/apm.conf";

std::optional<std::string> Variable(std::string_view name) {
  if (name == "HOME") return "/home/ann";
  if (name == "LANG") return "";
  if (name == "SECRET") return "not to be used";
  return std::nullopt;
}

Config LoadFiles(MemorySource source) {
  return Load({kFile}, source, {&Variable, 4});
}

Config LoadText(std::string text) {
  MemorySource source;
  source.Add(kFile, std::move(text));
  return LoadFiles(std::move(source));
}

// The only worker of a text without problems.
WorkerConfig LoadWorker(const std::string& directives) {
  Config config =
      LoadText("worker { name web; exec node; " + directives + " }");
  EXPECT_THAT(FormatDiagnostics(config.diagnostics), IsEmpty());
  EXPECT_THAT(config.workers, SizeIs(1));
  return config.workers.empty() ? WorkerConfig{} : config.workers[0];
}

std::vector<std::string> Messages(const Config& config) {
  std::vector<std::string> messages;
  for (const Diagnostic& diagnostic : config.diagnostics) {
    messages.push_back(diagnostic.message);
  }
  return messages;
}

TEST(LoadTest, FillsInEveryDefault) {
  const WorkerConfig worker = LoadWorker("");
  EXPECT_EQ(worker.path, "/etc/apm");
  EXPECT_EQ(worker.instances, 1);
  EXPECT_EQ(worker.restart, RestartPolicy::kAlways);
  EXPECT_EQ(worker.stop_signal, SIGTERM);
  EXPECT_EQ(worker.stop_timeout, absl::Seconds(10));
  EXPECT_FALSE(worker.trust_proxy);
  EXPECT_THAT(worker.trusted, ElementsAre("127.0.0.0/8", "::1/128", "unix"));
  EXPECT_EQ(worker.socket_mode, 0660u);
  EXPECT_FALSE(worker.access_log);
  EXPECT_THAT(worker.listeners, IsEmpty());
}

TEST(LoadTest, ReadsEveryDirectiveOfAWorker) {
  const WorkerConfig worker = LoadWorker(R"(
      params --port 3000 "two words" 'single; quotes';
      path /srv/web;  env A 1;  env B "x, y";
      server http://127.0.0.1:3000, ws://127.0.0.1:3000 http://unix:./a.sock;
      instances max;  restart on-failure;  stop_signal SIGINT;
      stop_timeout 500ms;  trust_proxy on;  trusted 10.1.2.3/8, unix;
      socket_mode 0600;  access_log on;  user deploy;  group www-data;)");
  EXPECT_THAT(worker.params,
              ElementsAre("--port", "3000", "two words", "single; quotes"));
  EXPECT_EQ(worker.path, "/srv/web");
  EXPECT_THAT(worker.env, ElementsAre(Pair("A", "1"), Pair("B", "x, y")));
  ASSERT_THAT(worker.listeners, SizeIs(2));
  EXPECT_TRUE(worker.listeners[0].http);
  EXPECT_TRUE(worker.listeners[0].ws);
  EXPECT_EQ(worker.listeners[1].path, "/srv/web/a.sock");
  EXPECT_EQ(worker.instances, 4);
  EXPECT_EQ(worker.restart, RestartPolicy::kOnFailure);
  EXPECT_EQ(worker.stop_signal, SIGINT);
  EXPECT_EQ(worker.stop_timeout, absl::Milliseconds(500));
  EXPECT_TRUE(worker.trust_proxy);
  EXPECT_THAT(worker.trusted, ElementsAre("10.0.0.0/8", "unix"));
  EXPECT_EQ(worker.socket_mode, 0600u);
  EXPECT_TRUE(worker.access_log);
  EXPECT_EQ(worker.user, "deploy");
  EXPECT_EQ(worker.group, "www-data");
}

TEST(LoadTest, ReadsTheDaemonBlock) {
  const Config config = LoadText(
      "daemon { allow_group apm-admin, ops; allow_group web;"
      " socket @other; state_dir state; log_level debug; }");
  EXPECT_THAT(config.diagnostics, IsEmpty());
  EXPECT_THAT(config.daemon.allow_groups,
              ElementsAre("apm-admin", "ops", "web"));
  EXPECT_EQ(config.daemon.socket, "@other");
  EXPECT_EQ(config.daemon.state_dir, "/etc/apm/state");
  EXPECT_EQ(config.daemon.log_level, log::Level::kDebug);
}

TEST(LoadTest, TheReferencesUnixExampleMeansTheAbsolutePath) {
  const Config config = LoadText(R"(worker {
    name         myapp;
    exec         node;
    params       server.js;
    path         /opt/myapp;
    server       http://unix:./myapp.sock;  # → /opt/myapp/myapp.sock
    trust_proxy  true;
})");
  ASSERT_THAT(config.workers, SizeIs(1));
  EXPECT_THAT(config.diagnostics, IsEmpty());
  EXPECT_EQ(FormatAddress(config.workers[0].listeners[0]),
            "unix:/opt/myapp/myapp.sock");
}

TEST(LoadTest, TheReferencesHttpAndWebSocketExampleHasTwoListeners) {
  const WorkerConfig worker =
      LoadWorker("server http://127.0.0.1:3000, ws://127.0.0.1:3001;");
  ASSERT_THAT(worker.listeners, SizeIs(2));
  EXPECT_TRUE(worker.listeners[0].http && !worker.listeners[0].ws);
  EXPECT_TRUE(worker.listeners[1].ws && !worker.listeners[1].http);
}

TEST(LoadTest, ARelativeProgramIsBelowThePath) {
  EXPECT_EQ(LoadWorker("path app;").path, "/etc/apm/app");
  const Config config =
      LoadText("worker { name web; exec ./bin/serve; path app; }");
  ASSERT_THAT(config.workers, SizeIs(1));
  EXPECT_EQ(config.workers[0].exec, "/etc/apm/app/bin/serve");
}

TEST(LoadTest, AnIncludedWorkersFolderIsThatOfItsFile) {
  MemorySource source;
  source.Add(kFile, "include conf.d/*.conf;");
  source.Add("/etc/apm/conf.d/b.conf", "worker { name b; exec x; }");
  source.Add("/etc/apm/conf.d/a.conf", "worker { name a; exec x; }");
  const Config config = LoadFiles(std::move(source));
  EXPECT_THAT(config.workers, ElementsAre(Field(&WorkerConfig::name, "a"),
                                          Field(&WorkerConfig::name, "b")));
  EXPECT_EQ(config.workers[0].path, "/etc/apm/conf.d");
  EXPECT_EQ(config.workers[0].source.file, "/etc/apm/conf.d/a.conf");
}

TEST(LoadTest, AnIncludeInsideABlockContinuesTheBlock) {
  MemorySource source;
  source.Add(kFile, "worker { name web; include common.conf; }");
  source.Add("/etc/apm/common.conf", "exec node; instances 3;");
  const Config config = LoadFiles(std::move(source));
  ASSERT_THAT(config.workers, SizeIs(1));
  EXPECT_EQ(config.workers[0].instances, 3);
}

TEST(LoadTest, AMistakeInAnIncludeDisablesTheWorkerThatIncludesIt) {
  MemorySource source;
  source.Add(kFile, "worker { name web; exec node; include more.conf; }");
  source.Add("/etc/apm/more.conf", "instances 3");
  const Config config = LoadFiles(std::move(source));
  EXPECT_THAT(config.workers, IsEmpty());
  ASSERT_THAT(config.diagnostics, SizeIs(1));
  EXPECT_EQ(config.diagnostics[0].worker, "web");
}

TEST(LoadTest, IncludesEndAtALimit) {
  MemorySource source;
  for (int i = 0; i < 100; ++i) {
    source.Add(i == 0 ? kFile : "/etc/apm/" + std::to_string(i),
               "include " + std::to_string(i + 1) + ";");
  }
  EXPECT_THAT(Messages(LoadFiles(std::move(source))),
              ElementsAre(HasSubstr("is not read: the limit is")));
}

TEST(LoadTest, AFileThatCannotBeReadIsSaidAndTheOthersCount) {
  MemorySource source;
  source.Add(kFile, "worker { name web; exec node; }");
  const Config config = Load({"/nowhere", kFile}, source, {&Variable, 1});
  EXPECT_THAT(config.workers, SizeIs(1));
  EXPECT_EQ(FormatDiagnostics(config.diagnostics),
            "/nowhere: error: No such file or directory\n");
}

TEST(LoadTest, AWarningLeavesTheWorkerRunning) {
  const Config config =
      LoadText("worker { name web; exec node; instances 0; }");
  EXPECT_THAT(config.workers, SizeIs(1));
  EXPECT_FALSE(HasErrors(config.diagnostics));
  EXPECT_EQ(config.diagnostics[0].worker, "web");
}

TEST(LoadTest, AnErrorDisablesOnlyItsWorker) {
  const Config config = LoadText(
      "worker { name a; exec node; oops; }\n"
      "worker { name b; exec node; }");
  EXPECT_THAT(config.workers, ElementsAre(Field(&WorkerConfig::name, "b")));
  EXPECT_THAT(config.disabled, ElementsAre(Field(&DisabledWorker::name, "a")));
  EXPECT_EQ(config.disabled[0].source.line, 1u);
  EXPECT_TRUE(HasErrors(config.diagnostics));
}

TEST(LoadTest, OnlyAllowedVariablesAreExpanded) {
  EXPECT_THAT(
      Messages(LoadText("worker { name web; exec node; env A $SECRET; }")),
      ElementsAre("no value for the variable 'SECRET'"));
  EXPECT_THAT(LoadWorker("env A $HOME;").env,
              ElementsAre(Pair("A", "/home/ann")));
}

TEST(LoadTest, ADefaultStandsInForAnEmptyVariable) {
  EXPECT_THAT(LoadWorker("env A ${LANG:-C}; env B $LANG;").env,
              ElementsAre(Pair("A", "C"), Pair("B", "")));
}

TEST(LoadTest, SameTextMeansAnEqualWorkerWhereverItStands) {
  const std::string text = "worker { name web; exec node; }";
  EXPECT_EQ(LoadText(text).workers, LoadText("\n\n" + text).workers);
  EXPECT_NE(LoadText(text).workers[0], LoadWorker("instances 2;"));
}

TEST(LoadTest, BytesThatAreNotTextAreReportedOnceAndSkipped) {
  const Config config = LoadText(
      std::string("worker { name web; exec node; }\xff\xfe\0\x01", 35));
  EXPECT_THAT(config.workers, SizeIs(1));
  EXPECT_THAT(Messages(config), ElementsAre("bytes that are not text (UTF-8)"));
}

TEST(LoadTest, LineEndsOfWindowsAreLineEnds) {
  const Config config =
      LoadText("worker {\r\n  name web;\r\n  exec node;\r\n  bad;\r\n}\r\n");
  EXPECT_THAT(FormatDiagnostics(config.diagnostics),
              HasSubstr("apm.conf:4:3: error: unknown directive 'bad'\n"
                        "      bad;\n      ^~~\n"));
}

TEST(LoadTest, ALongLineIsShownAroundTheProblem) {
  const Config config = LoadText("worker { name web; exec node; env A \"" +
                                 std::string(5000, 'x') + "\"; bad; }");
  ASSERT_THAT(config.diagnostics, SizeIs(1));
  EXPECT_LT(config.diagnostics[0].excerpt.size(), 200u);
  EXPECT_THAT(config.diagnostics[0].excerpt, HasSubstr("bad;"));
  EXPECT_EQ(config.diagnostics[0].column, 5041u);
}

TEST(LoadTest, ProblemsWithoutEndAreCounted) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += "bad;\n";
  const Config config = LoadText(text);
  EXPECT_THAT(config.diagnostics, SizeIs(501));
  EXPECT_EQ(config.diagnostics.back().message,
            "100 more problems are not shown");
}

TEST(LoadTest, DeepNestingEndsAtALimit) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "a {";
  EXPECT_THAT(Messages(LoadText(text)),
              testing::Contains(HasSubstr("nested more than")));
}

}  // namespace
}  // namespace apm::config
