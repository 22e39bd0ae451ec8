#include "agent/store/definition_json.h"

#include <signal.h>

#include <string>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/store/desired_workers.h"
#include "tests/testing/status_matchers.h"

namespace apm::store {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using config::WorkerConfig;
using ::testing::AllOf;
using ::testing::HasSubstr;

WorkerConfig RoundTrip(const WorkerConfig& definition) {
  return DecodeDefinition(EncodeDefinition(definition)).value();
}

// Else the round trip below would not see a field that is forgotten.
TEST(DefinitionJson, TheFullDefinitionHasNoFieldAtItsDefault) {
  const auto full = FullDefinition();
  const auto& [name, exec, params, path, env, listeners, instances, restart,
               stop_signal, stop_timeout, trust_proxy, trusted, socket_mode,
               access_log, log, user, group, source] = full;
  const WorkerConfig none;
  EXPECT_NE(name, none.name);
  EXPECT_NE(exec, none.exec);
  EXPECT_NE(params, none.params);
  EXPECT_NE(path, none.path);
  EXPECT_NE(env, none.env);
  EXPECT_NE(listeners, none.listeners);
  EXPECT_NE(instances, none.instances);
  EXPECT_NE(restart, none.restart);
  EXPECT_NE(stop_signal, none.stop_signal);
  EXPECT_NE(stop_timeout, none.stop_timeout);
  EXPECT_NE(trust_proxy, none.trust_proxy);
  EXPECT_NE(trusted, none.trusted);
  EXPECT_NE(socket_mode, none.socket_mode);
  EXPECT_NE(access_log, none.access_log);
  EXPECT_NE(log.json, none.log.json);
  EXPECT_NE(log.max_bytes, none.log.max_bytes);
  EXPECT_NE(log.max_age, none.log.max_age);
  EXPECT_NE(log.keep, none.log.keep);
  EXPECT_NE(log.max_lines, none.log.max_lines);
  EXPECT_NE(log.lines_per, none.log.lines_per);
  EXPECT_NE(user, none.user);
  EXPECT_NE(group, none.group);
  EXPECT_NE(source.file, none.source.file);
}

TEST(DefinitionJson, EveryFieldComesBack) {
  const WorkerConfig full = FullDefinition();
  EXPECT_EQ(RoundTrip(full), full);
}

TEST(DefinitionJson, WhereItWasWrittenComesBack) {
  const WorkerConfig full = RoundTrip(FullDefinition());
  EXPECT_EQ(full.source.file, "/etc/apm/apm.conf");
  EXPECT_EQ(full.source.line, 12u);
}

TEST(DefinitionJson, TheDefaultDefinitionComesBack) {
  EXPECT_EQ(RoundTrip(WorkerConfig{}), WorkerConfig{});
}

TEST(DefinitionJson, BytesThatAreNoTextComeBack) {
  WorkerConfig definition;
  definition.path = "/srv/\xff\xc3";
  definition.params = {std::string("a\0b", 3), "\x80"};
  definition.env = {{"A", "\xfe"}};
  EXPECT_EQ(RoundTrip(definition), definition);
}

TEST(DefinitionJson, EverySignalComesBack) {
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    WorkerConfig definition;
    definition.stop_signal = signal;
    EXPECT_EQ(RoundTrip(definition).stop_signal, signal);
  }
}

TEST(DefinitionJson, AnEndlessTimeoutComesBack) {
  WorkerConfig definition;
  definition.stop_timeout = absl::InfiniteDuration();
  EXPECT_EQ(RoundTrip(definition), definition);
}

TEST(DefinitionJson, IsReadable) {
  WorkerConfig definition = FullDefinition();
  definition.listeners.resize(1);
  EXPECT_THAT(EncodeDefinition(definition),
              AllOf(HasSubstr(R"("restart":"on-failure")"),
                    HasSubstr(R"("socket_mode":"0600")"),
                    HasSubstr(R"("stop_signal":"QUIT","stop_timeout":"1.5s")"),
                    HasSubstr(R"("urls":["http://127.0.0.1:3000",)"
                              R"("ws://127.0.0.1:3000"])")));
}

TEST(DefinitionJson, WhatIsMissingHasItsDefault) {
  const WorkerConfig definition = DecodeDefinition("{}").value();
  EXPECT_EQ(definition, WorkerConfig{});
}

TEST(DefinitionJson, WhatIsUnknownIsIgnored) {
  const auto definition =
      DecodeDefinition(R"({"memory_limit":{"bytes":1},"exec":"node"})");
  ASSERT_THAT(definition, IsOk());
  EXPECT_EQ(definition->exec, "node");
}

TEST(DefinitionJson, WhatIsNoneIsRefusedNamingTheDirective) {
  const struct {
    const char* text;
    const char* named;
  } kBad[] = {
      {"", "parse error"},
      {"[]", "no JSON object"},
      {"{\"exec\":", "parse error"},
      {R"({"exec":1})", "'exec'"},
      {R"({"instances":"many"})", "'instances'"},
      {R"({"restart":"often"})", "'restart': 'often' is no restart policy"},
      {R"({"stop_signal":"HELLO"})", "'stop_signal'"},
      {R"({"stop_timeout":"soon"})", "'stop_timeout'"},
      {R"({"socket_mode":"rw"})", "'socket_mode'"},
      {R"({"server":[{"text":"x","urls":["gopher://x"]}]})", "'server'"},
      {R"({"server":[{"text":"x","urls":[]}]})", "'server'"},
      {R"({"source":{"file":"/x"}})", "'source'"},
  };
  for (const auto& [text, named] : kBad) {
    const auto definition = DecodeDefinition(text);
    EXPECT_THAT(definition, StatusIs(absl::StatusCode::kDataLoss)) << text;
    EXPECT_THAT(std::string(definition.status().message()), HasSubstr(named));
  }
}

}  // namespace
}  // namespace apm::store
