// Runs tests/conformance/http1_requests.json: each input whole, byte by byte,
// and cut in two at every place.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/proxy/http1/message_reader.h"
#include "tests/testing/conformance_vectors.h"

#include <nlohmann/json.hpp>

namespace apm::http1 {
namespace {

using nlohmann::json;
using testing::BytesOf;

// Beyond this an input is long because of one repeated byte, and cutting it at
// every one of them says nothing new.
constexpr size_t kEverySplitBytes = 600;

json FieldsToJson(
    const std::vector<std::pair<std::string, std::string>>& fields) {
  json list = json::array();
  for (const auto& [name, value] : fields) list.push_back({name, value});
  return list;
}

std::string_view FormName(TargetForm form) {
  switch (form) {
    case TargetForm::kOrigin:
      return "origin";
    case TargetForm::kAbsolute:
      return "absolute";
    case TargetForm::kAsterisk:
      return "asterisk";
  }
  return "";
}

std::string_view BodyName(BodyKind body) {
  switch (body) {
    case BodyKind::kNone:
      return "none";
    case BodyKind::kLength:
      return "length";
    case BodyKind::kChunked:
      return "chunked";
  }
  return "";
}

json ToJson(const Message& message) {
  return {{"method", message.method},
          {"target", message.target},
          {"path", message.path},
          {"query", message.query},
          {"host", message.host},
          {"form", FormName(message.form)},
          {"version", message.version == Version::kHttp11 ? "1.1" : "1.0"},
          {"body", BodyName(message.body)},
          {"content", message.content},
          {"keep_alive", message.keep_alive},
          {"expect_continue", message.expect_continue},
          {"upgrade", message.upgrade},
          {"dropped", message.dropped_fields},
          {"fields", FieldsToJson(message.fields)},
          {"trailers", FieldsToJson(message.trailers)}};
}

// Strings of the vector as bytes, wherever they stand.
json WithBytes(const json& value) {
  if (value.is_string()) return BytesOf(value.get<std::string>());
  if (!value.is_array()) return value;
  json list = json::array();
  for (const json& element : value) list.push_back(WithBytes(element));
  return list;
}

void ExpectMessage(const json& expected, const Message& message) {
  const json read = ToJson(message);
  for (const auto& [property, value] : expected.items()) {
    ASSERT_TRUE(read.contains(property)) << "no property " << property;
    EXPECT_EQ(read[property], WithBytes(value)) << property;
  }
}

void ExpectVerdict(const json& expected, const MessageReader& reader) {
  size_t messages = 0;
  int status = 0;
  bool incomplete = false;
  for (const json& verdict : expected) {
    if (verdict == "incomplete") {
      incomplete = true;
    } else if (verdict.contains("status")) {
      status = verdict["status"].get<int>();
    } else if (messages < reader.messages().size()) {
      ExpectMessage(verdict, reader.messages()[messages++]);
    } else {
      ++messages;
    }
  }
  EXPECT_EQ(reader.messages().size(), messages);
  EXPECT_EQ(reader.error().status, status) << reader.error().reason;
  EXPECT_EQ(reader.error().reason.empty(), status == 0);
  if (status == 0) {
    EXPECT_EQ(reader.incomplete(), incomplete);
  }
}

template <typename Check>
void ForEachVector(Check check) {
  for (const json& vector : testing::LoadVectors("http1_requests.json")) {
    SCOPED_TRACE(testing::CaseName(vector));
    check(testing::InputOf(vector["input"]), vector["expect"]);
  }
}

TEST(Http1Conformance, WholeInput) {
  ForEachVector([](const std::string& input, const json& expected) {
    MessageReader reader;
    reader.Feed(input);
    ExpectVerdict(expected, reader);
  });
}

TEST(Http1Conformance, ByteByByte) {
  ForEachVector([](const std::string& input, const json& expected) {
    MessageReader reader;
    for (char byte : input) reader.Feed({&byte, 1});
    ExpectVerdict(expected, reader);
  });
}

TEST(Http1Conformance, CutInTwoAtEveryPlace) {
  ForEachVector([](const std::string& input, const json& expected) {
    const size_t step = 1 + input.size() / kEverySplitBytes;
    for (size_t at = 1; at < input.size(); at += step) {
      SCOPED_TRACE("cut at " + std::to_string(at));
      MessageReader reader;
      reader.Feed(std::string_view(input).substr(0, at));
      reader.Feed(std::string_view(input).substr(at));
      ExpectVerdict(expected, reader);
      if (::testing::Test::HasFailure()) return;
    }
  });
}

}  // namespace
}  // namespace apm::http1
