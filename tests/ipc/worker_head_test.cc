#include "ipc/worker_head.h"

#include <optional>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipc/frame.h"

namespace apm::ipc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WorkerHeadTest : public ::testing::Test {
 protected:
  const WorkerHead& Parse(std::string_view json) {
    json_ = json;
    EXPECT_EQ(parser_.Parse(json_), HeadProblem::kNone) << json;
    return parser_.head();
  }
  HeadProblem Problem(std::string_view json) {
    json_ = json;
    return parser_.Parse(json_);
  }

  std::string json_;
  WorkerHeadParser parser_;
};

std::string ManyKeys(size_t count) {
  std::string json = R"({"_command":"write")";
  for (size_t i = 1; i < count; ++i) {
    json += ",\"k" + std::to_string(i) + "\":1";
  }
  return json + "}";
}

std::string ManyElements(size_t count) {
  std::string json = R"({"_command":"write","set-cookie":["a")";
  for (size_t i = 1; i < count; ++i) json += R"(,"a")";
  return json + "]}";
}

TEST_F(WorkerHeadTest, ReadsAWrite) {
  const WorkerHead& head =
      Parse(R"({"_command":"write","_session":"s1","dataType":"text",)"
            R"("x-status":"404","Content-Type":"text/plain","x-b":"2"})");
  EXPECT_EQ(head.command, WorkerCommand::kWrite);
  EXPECT_EQ(head.session, "s1");
  EXPECT_EQ(head.data_type, DataType::kText);
  EXPECT_EQ(head.x_status, 404);
  EXPECT_THAT(head.headers, ElementsAre(Field{"Content-Type", "text/plain"},
                                        Field{"x-b", "2"}));
  EXPECT_EQ(head.ignored_fields, 0u);
}

TEST_F(WorkerHeadTest, CommandMayComeLast) {
  const WorkerHead& head = Parse(R"({"x-a":"1","_command":"write"})");
  EXPECT_THAT(head.headers, ElementsAre(Field{"x-a", "1"}));
}

TEST_F(WorkerHeadTest, AbsentFieldsAreAbsent) {
  const WorkerHead& head = Parse(R"({"_command":"write"})");
  EXPECT_EQ(head.session, "");
  EXPECT_EQ(head.data_type, std::nullopt);
  EXPECT_EQ(head.x_status, std::nullopt);
  EXPECT_THAT(head.headers, IsEmpty());
}

TEST_F(WorkerHeadTest, NumbersServeAsStringsAndStringsAsNumbers) {
  EXPECT_EQ(Parse(R"({"_command":"write","x-status":200})").x_status, 200);
  EXPECT_EQ(Parse(R"({"_command":"write","_session":7})").session, "7");
  EXPECT_THAT(Parse(R"({"_command":"write","content-length":13})").headers,
              ElementsAre(Field{"content-length", "13"}));
  EXPECT_EQ(Parse(R"({"_command":"closeConnection","code":1000})").code, 1000);
  EXPECT_EQ(Parse(R"({"_command":"closeConnection","code":"1000"})").code,
            1000);
}

TEST_F(WorkerHeadTest, StatusKeyMayHaveAnyCase) {
  const WorkerHead& head = Parse(R"({"_command":"write","X-Status":"201"})");
  EXPECT_EQ(head.x_status, 201);
  EXPECT_THAT(head.headers, IsEmpty());
}

TEST_F(WorkerHeadTest, StatusThatIsNoneIsTold) {
  for (const std::string_view status :
       {R"("")", R"("99")", R"("1000")", "-200", "2e2", "200.0", R"("200 OK")",
        R"("0x0")", R"("99999999999999999999")", "[200]"}) {
    EXPECT_EQ(
        Parse(R"({"_command":"write","x-status":)" + std::string(status) + "}")
            .x_status,
        WorkerHead::kInvalidNumber)
        << status;
  }
}

TEST_F(WorkerHeadTest, TakesAStatusOfNullForNone) {
  EXPECT_EQ(Parse(R"({"_command":"write","x-status":null})").x_status,
            std::nullopt);
}

TEST_F(WorkerHeadTest, StatusIsTakenAtItsEdges) {
  EXPECT_EQ(Parse(R"({"_command":"write","x-status":"100"})").x_status, 100);
  EXPECT_EQ(Parse(R"({"_command":"write","x-status":"999"})").x_status, 999);
}

TEST_F(WorkerHeadTest, ArrayBecomesRepeatedHeaders) {
  const WorkerHead& head =
      Parse(R"({"_command":"write","set-cookie":["a=1", 2 ,"c\n"],"x":"y"})");
  EXPECT_THAT(head.headers,
              ElementsAre(Field{"set-cookie", "a=1"}, Field{"set-cookie", "2"},
                          Field{"set-cookie", "c\n"}, Field{"x", "y"}));
}

TEST_F(WorkerHeadTest, LastOfEqualKeysCountsInThePlaceOfTheFirst) {
  const WorkerHead& head = Parse(
      R"({"_command":"ready","a":"1","b":"2","a":"3","_command":"write"})");
  EXPECT_THAT(head.headers, ElementsAre(Field{"a", "3"}, Field{"b", "2"}));
}

TEST_F(WorkerHeadTest, ValuesThatAreNoHeadersAreLeftOutAndCounted) {
  const WorkerHead& head =
      Parse(R"({"_command":"write","a":{},"b":null,"c":["x",{}],"d":true})");
  EXPECT_THAT(head.headers, ElementsAre(Field{"c", "x"}, Field{"d", "true"}));
  EXPECT_EQ(head.ignored_fields, 3u);
}

TEST_F(WorkerHeadTest, UnderscoredKeysAreNoHeaders) {
  EXPECT_THAT(Parse(R"({"_command":"write","_future":"1","_":"2"})").headers,
              IsEmpty());
}

TEST_F(WorkerHeadTest, ReadsTrailers) {
  const WorkerHead& head = Parse(
      R"({"_command":"write","_trailers":{"grpc-status":"0","x":["1","2"]}})");
  EXPECT_THAT(head.trailers, ElementsAre(Field{"grpc-status", "0"},
                                         Field{"x", "1"}, Field{"x", "2"}));
  EXPECT_THAT(head.headers, IsEmpty());
}

TEST_F(WorkerHeadTest, UnescapesNamesAndValues) {
  const WorkerHead& head = Parse(
      R"({"_comm\u0061nd":"writ\u0065","x-\u00e9":"\ud83d\ude00","p":"plain",)"
      R"("_trailers":{"\u0061":"\t"}})");
  EXPECT_THAT(head.headers, ElementsAre(Field{"x-\xC3\xA9", "\xF0\x9F\x98\x80"},
                                        Field{"p", "plain"}));
  EXPECT_THAT(head.trailers, ElementsAre(Field{"a", "\t"}));
}

TEST_F(WorkerHeadTest, ReadsAClose) {
  const WorkerHead& head =
      Parse(R"({"_command":"closeConnection","_session":"s1","code":4000,)"
            R"("_reason":"bye"})");
  EXPECT_EQ(head.command, WorkerCommand::kCloseConnection);
  EXPECT_EQ(head.code, 4000);
  EXPECT_EQ(head.reason, "bye");
}

TEST_F(WorkerHeadTest, CloseCodeMayBeAbsentNullOrWrong) {
  EXPECT_EQ(Parse(R"({"_command":"closeConnection"})").code, std::nullopt);
  EXPECT_EQ(Parse(R"({"_command":"closeConnection","code":null})").code,
            std::nullopt);
  EXPECT_EQ(Parse(R"({"_command":"closeConnection","code":"x"})").code,
            WorkerHead::kInvalidNumber);
  EXPECT_EQ(Parse(R"({"_command":"closeConnection","code":65536})").code,
            WorkerHead::kInvalidNumber);
}

TEST_F(WorkerHeadTest, KeepsSessionDataAsItWasSent) {
  const WorkerHead& head = Parse(
      R"({"_command":"saveSessionData","_sessionData": {"a" : "\n", "b":[1]} })");
  EXPECT_EQ(head.session_data, R"({"a" : "\n", "b":[1]})");
  EXPECT_EQ(Parse(R"({"_command":"saveSessionData","_sessionData":"x"})")
                .session_data,
            R"("x")");
}

TEST_F(WorkerHeadTest, ReadsAMetric) {
  const WorkerHead& head = Parse(
      R"({"_command":"metric","name":"jobs","value":-1.5e3,"type":"gauge",)"
      R"("labels":{"queue":"mail","n":2}})");
  EXPECT_EQ(head.metric_name, "jobs");
  EXPECT_EQ(head.metric_value, -1500.0);
  EXPECT_EQ(head.metric_type, MetricType::kGauge);
  EXPECT_THAT(head.labels,
              ElementsAre(Field{"queue", "mail"}, Field{"n", "2"}));
}

TEST_F(WorkerHeadTest, MetricValueMayBeAStringButMustBeFinite) {
  EXPECT_EQ(Parse(R"({"_command":"metric","value":"3"})").metric_value, 3.0);
  for (const std::string_view value :
       {R"("")", R"("inf")", R"("nan")", "1e999", R"("3x")", "true", "null"}) {
    EXPECT_EQ(
        Parse(R"({"_command":"metric","value":)" + std::string(value) + "}")
            .metric_value,
        std::nullopt)
        << value;
  }
}

TEST_F(WorkerHeadTest, ReadsAHello) {
  const WorkerHead& head =
      Parse(R"({"_command":"hello","connector":"python/1.0","concurrency":8,)"
            R"("features":["lean","ack"]})");
  EXPECT_EQ(head.connector, "python/1.0");
  EXPECT_EQ(head.concurrency, 8u);
  EXPECT_THAT(head.features, ElementsAre("lean", "ack"));
}

TEST_F(WorkerHeadTest, HelloConcurrencyOutsideOfItsRangeIsAbsent) {
  EXPECT_EQ(Parse(R"({"_command":"hello","concurrency":0})").concurrency,
            std::nullopt);
  EXPECT_EQ(Parse(R"({"_command":"hello","concurrency":-1})").concurrency,
            std::nullopt);
}

TEST_F(WorkerHeadTest, ReadsALogLine) {
  const WorkerHead& head = Parse(
      R"({"_command":"log","level":"warn","message":"a\"b","fields":{"n":1}})");
  EXPECT_EQ(head.level, "warn");
  EXPECT_EQ(head.message, "a\"b");
  EXPECT_EQ(head.log_fields, R"({"n":1})");
}

TEST_F(WorkerHeadTest, KnowsEveryCommandByItsName) {
  for (const WorkerCommand command :
       {WorkerCommand::kWrite, WorkerCommand::kWriteRaw,
        WorkerCommand::kCloseConnection, WorkerCommand::kSaveSessionData,
        WorkerCommand::kMetric, WorkerCommand::kHello, WorkerCommand::kReady,
        WorkerCommand::kLog, WorkerCommand::kAccept, WorkerCommand::kDrained,
        WorkerCommand::kAck}) {
    const std::string name(WorkerCommandName(command));
    EXPECT_EQ(Parse(R"({"_command":")" + name + "\"}").command, command);
  }
}

TEST_F(WorkerHeadTest, SaysWhatIsWrong) {
  EXPECT_EQ(Problem("[]"), HeadProblem::kNotAnObject);
  EXPECT_EQ(Problem(R"({"_command":"write"} x)"), HeadProblem::kNotAnObject);
  EXPECT_EQ(Problem("{}"), HeadProblem::kNoCommand);
  EXPECT_EQ(Problem(R"({"_command":1})"), HeadProblem::kNoCommand);
  EXPECT_EQ(Problem(R"({"_command":"Write"})"), HeadProblem::kUnknownCommand);
  EXPECT_EQ(Problem(""), HeadProblem::kNotAnObject);
}

TEST_F(WorkerHeadTest, NamesTheSessionOfAnUnknownCommand) {
  EXPECT_EQ(Problem(R"({"_command":"fly","_session":"s9"})"),
            HeadProblem::kUnknownCommand);
  EXPECT_EQ(parser_.head().session, "s9");
}

TEST_F(WorkerHeadTest, TakesTheMostKeysAndNotOneMore) {
  EXPECT_THAT(Parse(ManyKeys(kMaxHeadKeys)).headers, SizeIs(kMaxHeadKeys - 1));
  EXPECT_EQ(Problem(ManyKeys(kMaxHeadKeys + 1)), HeadProblem::kTooManyKeys);
}

TEST_F(WorkerHeadTest, TakesTheMostArrayElementsAndNotOneMore) {
  EXPECT_THAT(Parse(ManyElements(kMaxHeadKeys)).headers, SizeIs(kMaxHeadKeys));
  EXPECT_EQ(Problem(ManyElements(kMaxHeadKeys + 1)), HeadProblem::kTooManyKeys);
}

TEST_F(WorkerHeadTest, NothingIsLeftOfTheHeadBefore) {
  Parse(R"({"_command":"write","_session":"s1","x-status":"200","a":"\n",)"
        R"("_trailers":{"t":"1"}})");
  const WorkerHead& head = Parse(R"({"_command":"write"})");
  EXPECT_EQ(head.session, "");
  EXPECT_EQ(head.x_status, std::nullopt);
  EXPECT_THAT(head.headers, IsEmpty());
  EXPECT_THAT(head.trailers, IsEmpty());
}

// Heads like the one before them, which the parser does not parse again.

TEST_F(WorkerHeadTest, FindsTheSessionOfAHeadThatDiffersInItOnly) {
  Parse(R"({"_command":"write","_session":"s1","a":"1"})");
  const WorkerHead& head =
      Parse(R"({"_command":"write","_session":"t2","a":"1"})");
  EXPECT_EQ(head.session, "t2");
  EXPECT_THAT(head.headers, ElementsAre(Field{"a", "1"}));
}

TEST_F(WorkerHeadTest, SeesADifferenceBehindTheSession) {
  Parse(R"({"_command":"write","_session":"s1","a":"1"})");
  EXPECT_THAT(Parse(R"({"_command":"write","_session":"s1","a":"2"})").headers,
              ElementsAre(Field{"a", "2"}));
}

TEST_F(WorkerHeadTest, SeesADifferenceBeforeTheSession) {
  Parse(R"({"_command":"accept","_session":"s1"})");
  EXPECT_EQ(Problem(R"({"_command":"accepd","_session":"s1"})"),
            HeadProblem::kUnknownCommand);
}

TEST_F(WorkerHeadTest, SeesThatTheSessionEndsEarlier) {
  Parse(R"({"_command":"write","_session":"s123456","a":"1"})");
  EXPECT_THAT(
      Parse(R"({"_command":"write","_session":"s","b":"","a":"1"})").headers,
      ElementsAre(Field{"b", ""}, Field{"a", "1"}));
}

TEST_F(WorkerHeadTest, DecodesASessionWithAnEscapeBehindOneWithout) {
  Parse(R"({"_command":"accept","_session":"ab"})");
  EXPECT_EQ(Parse(R"({"_command":"accept","_session":"\n"})").session, "\n");
}

TEST_F(WorkerHeadTest, RefusesABrokenSessionBehindAGoodOne) {
  Parse(R"({"_command":"accept","_session":"s1"})");
  EXPECT_EQ(Problem("{\"_command\":\"accept\",\"_session\":\"s\x01\"}"),
            HeadProblem::kNotAnObject);
}

TEST_F(WorkerHeadTest, RefusesASessionThatWasANumber) {
  Parse(R"({"_command":"accept","_session":12})");
  EXPECT_EQ(Problem(R"({"_command":"accept","_session":1x})"),
            HeadProblem::kNotAnObject);
}

TEST_F(WorkerHeadTest, KeepsManyHeadsApart) {
  for (int round = 0; round < 2; ++round) {
    for (size_t size = 0; size < 100; ++size) {
      const std::string value(size, static_cast<char>('a' + round));
      const WorkerHead& head =
          Parse(R"({"_command":"write","_session":"s","a":")" + value + "\"}");
      ASSERT_THAT(head.headers, ElementsAre(Field{"a", value}));
    }
  }
}

}  // namespace
}  // namespace apm::ipc
