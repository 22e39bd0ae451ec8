// Runs tests/conformance/pipe_frames.json, and checks the worked example of
// ipc/README.md.

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/frame_decoder.h"
#include "ipc/frame_encoder.h"
#include "ipc/json_writer.h"
#include "ipc/url_parts.h"
#include "tests/ipc/wire.h"
#include "tests/testing/status_matchers.h"

#include <nlohmann/json.hpp>

namespace apm::ipc {
namespace {

using apm::testing::IsOk;
using nlohmann::json;

std::string ReadSource(const std::string& path) {
  std::ifstream file(APM_SOURCE_DIR "/" + path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

std::string FromHex(std::string_view text) {
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits),
                       [](char c) { return c != ' '; });
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string Bytes(const json& parts) {
  std::string bytes;
  for (const std::string part : parts) {
    bytes += part.starts_with("hex:") ? FromHex(part.substr(4))
                                      : part.substr(part.find(':') + 1);
  }
  return bytes;
}

HeadProblem ProblemNamed(const std::string& name) {
  if (name == "none") return HeadProblem::kNone;
  if (name == "no command") return HeadProblem::kNoCommand;
  if (name == "unknown command") return HeadProblem::kUnknownCommand;
  EXPECT_EQ(name, "too many keys");
  return HeadProblem::kTooManyKeys;
}

std::vector<std::string> Expected(const json& items) {
  std::vector<std::string> lines;
  for (const json& item : items) {
    if (item.contains("stray")) {
      lines.push_back(testing::Stray(Bytes(item["stray"])));
      continue;
    }
    const std::string head = item["head"];
    const std::string payload = Bytes(item["payload"]);
    const HeadProblem problem = ProblemNamed(item["problem"]);
    lines.push_back(problem == HeadProblem::kNone
                        ? testing::Frame(head, payload)
                        : testing::BadFrame(problem, head, payload));
  }
  return lines;
}

// Feeds `pieces` to a new decoder and compares with the vector.
void ExpectDecodes(const json& vector,
                   const std::vector<std::string_view>& pieces) {
  FrameDecoder decoder;
  testing::Transcript seen;
  for (const std::string_view piece : pieces) seen.Feed(decoder, piece);
  ASSERT_EQ(seen.lines(), Expected(vector["expect"]));
  ASSERT_EQ(decoder.Waiting(), vector["waiting"].get<bool>());
  if (!vector.contains("then")) return;

  if (vector["then"] == "expire") {
    decoder.Expire();
  } else {
    decoder.Finish();
  }
  testing::Transcript after;
  after.Drain(decoder);
  ASSERT_EQ(after.lines(), Expected(vector["expect_after"]));
}

class PipeFramesTest : public ::testing::Test {
 protected:
  static const json& Vectors() {
    static const json vectors =
        json::parse(ReadSource("tests/conformance/pipe_frames.json"));
    return vectors;
  }
};

TEST_F(PipeFramesTest, WholeInputIsDecoded) {
  for (const json& vector : Vectors()["from_worker"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    const std::string bytes = Bytes(vector["bytes"]);
    ExpectDecodes(vector, {bytes});
  }
}

TEST_F(PipeFramesTest, InputByteByByteIsDecodedAlike) {
  for (const json& vector : Vectors()["from_worker"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    const std::string bytes = Bytes(vector["bytes"]);
    std::vector<std::string_view> pieces;
    for (const char& c : bytes) pieces.emplace_back(&c, 1);
    ExpectDecodes(vector, pieces);
  }
}

TEST_F(PipeFramesTest, InputSplitAnywhereIsDecodedAlike) {
  for (const json& vector : Vectors()["from_worker"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    const std::string bytes = Bytes(vector["bytes"]);
    const std::string_view view = bytes;
    for (size_t i = 0; i <= view.size(); ++i) {
      SCOPED_TRACE(i);
      ExpectDecodes(vector, {view.substr(0, i), view.substr(i)});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(PipeFramesTest, FramesToAWorkerAreEncoded) {
  for (const json& vector : Vectors()["to_worker"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    std::string out;
    for (const json& frame : vector["frames"]) {
      ASSERT_THAT(AppendFrame(frame["head"].get<std::string>(),
                              Bytes(frame["payload"]), out),
                  IsOk());
    }
    EXPECT_EQ(out, Bytes(vector["bytes"]));
  }
}

// As JSON, since that is how invalid UTF-8 reaches a worker.
std::string ToJson(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return json::parse(out);
}

json ToJson(const std::vector<Field>& fields) {
  json object = json::object();
  for (const Field& field : fields) {
    const std::string name = ToJson(field.name);
    const std::string value = ToJson(field.value);
    if (!object.contains(name)) {
      object[name] = value;
    } else if (object[name].is_array()) {
      object[name].push_back(value);
    } else {
      object[name] = json::array({object[name], value});
    }
  }
  return object;
}

TEST_F(PipeFramesTest, PathsAreSplit) {
  UrlParts parts;
  for (const json& vector : Vectors()["path_array"]) {
    const std::string input = vector["input"];
    json output = json::array();
    for (const std::string_view segment : parts.ParsePath(input)) {
      output.push_back(ToJson(segment));
    }
    EXPECT_EQ(output, vector["output"]) << input;
  }
}

TEST_F(PipeFramesTest, QueriesAreParsed) {
  UrlParts parts;
  for (const json& vector : Vectors()["query_object"]) {
    const std::string input = vector["input"];
    EXPECT_EQ(ToJson(parts.ParseQuery(input)), vector["output"]) << input;
  }
}

TEST_F(PipeFramesTest, CookiesAreParsed) {
  UrlParts parts;
  for (const json& vector : Vectors()["cookies"]) {
    const std::string input = vector["input"];
    EXPECT_EQ(ToJson(parts.ParseCookies(input)), vector["output"]) << input;
  }
}

// The bytes of the README's block ```hex <name>.
std::string ReadmeExample(const std::string& name) {
  std::istringstream readme(ReadSource("ipc/README.md"));
  std::string line;
  while (std::getline(readme, line) && line != "```hex " + name) {
  }
  std::string bytes;
  while (std::getline(readme, line) && line != "```") {
    bytes += FromHex(std::string_view(line).substr(0, 47));
  }
  return bytes;
}

TEST(ReadmeTest, ExampleToAWorkerIsWhatWeSend) {
  std::string sent;
  ASSERT_THAT(AppendData("7", DataType::kText, "hi", sent), IsOk());
  EXPECT_EQ(ReadmeExample("to-worker"), sent);
}

TEST(ReadmeTest, ExampleFromAWorkerIsWhatWeRead) {
  FrameDecoder decoder;
  testing::Transcript seen;
  seen.Feed(decoder, ReadmeExample("from-worker"));
  EXPECT_EQ(
      seen.lines(),
      std::vector{testing::Frame(
          R"({"_command":"write","_session":"7","dataType":"text"})", "hi")});
}

}  // namespace
}  // namespace apm::ipc
