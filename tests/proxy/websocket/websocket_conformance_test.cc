// Runs tests/conformance/websocket.json: each input whole, byte by byte, and
// cut in two at every place.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/escaping.h>
#include <absl/strings/str_replace.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include "proxy/websocket/frame_parser.h"
#include "tests/testing/conformance_vectors.h"

#include <nlohmann/json.hpp>

namespace apm::websocket {
namespace {

using nlohmann::json;
using Event = FrameParser::Event;

constexpr size_t kEverySplitBytes = 600;  // Longer inputs repeat themselves.
constexpr size_t kByteByByteBytes = size_t{100} << 10;

std::string FromHex(const std::string& hex) {
  return absl::HexStringToBytes(absl::StrReplaceAll(hex, {{" ", ""}}));
}

std::string InputOf(const json& parts) {
  std::string bytes;
  for (const json& part : parts) {
    if (part.is_string()) {
      bytes += FromHex(part.get<std::string>());
      continue;
    }
    const std::string repeated = FromHex(part["repeat"].get<std::string>());
    for (int i = 0; i < part["times"].get<int>(); ++i) bytes += repeated;
  }
  return bytes;
}

// Reads one connection, describing the events as the vectors do.
class Reader {
 public:
  void Feed(std::string_view bytes) {
    std::vector<char> copy(bytes.begin(), bytes.end());  // Unmasked in place.
    std::span<char> input(copy);
    while (!ended_) {
      const Event event = parser_.Next(input, absl::Seconds(1));
      if (event == Event::kNeedMore) {
        EXPECT_TRUE(input.empty());
        return;
      }
      events_.push_back(Describe(event));
      ended_ = event == Event::kClose || event == Event::kError;
    }
  }

  const json& events() const { return events_; }

 private:
  json Describe(Event event) const {
    const std::string payload(parser_.payload());
    const std::string hex = absl::BytesToHexString(payload);
    const auto code = static_cast<int>(parser_.close_code());
    switch (event) {
      case Event::kNeedMore:
        break;
      case Event::kMessage:
        return {{parser_.is_text() ? "text" : "binary", hex}};
      case Event::kPing:
        return {{"ping", hex}};
      case Event::kPong:
        return {{"pong", hex}};
      case Event::kClose:
        return {{"close", code}, {"reason", hex}};
      case Event::kError:
        EXPECT_FALSE(parser_.error().empty());
        return {{"error", code}};
    }
    return nullptr;
  }

  FrameParser parser_;
  bool ended_ = false;
  json events_ = json::array();
};

void ExpectEvents(const json& expected, const json& events) {
  ASSERT_EQ(events.size(), expected.size()) << events.dump().substr(0, 200);
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!expected[i].contains("binary_bytes")) {
      EXPECT_EQ(events[i], expected[i]);
      continue;
    }
    ASSERT_TRUE(events[i].contains("binary"));
    EXPECT_EQ(events[i]["binary"].get<std::string>().size() / 2,
              expected[i]["binary_bytes"].get<size_t>());
  }
}

template <typename Check>
void ForEachVector(Check check) {
  for (const json& vector : testing::LoadVectors("websocket.json")) {
    SCOPED_TRACE(testing::CaseName(vector));
    check(InputOf(vector["input"]), vector["expect"]);
  }
}

TEST(WebSocketConformance, WholeInput) {
  ForEachVector([](const std::string& input, const json& expected) {
    Reader reader;
    reader.Feed(input);
    ExpectEvents(expected, reader.events());
  });
}

TEST(WebSocketConformance, ByteByByte) {
  ForEachVector([](const std::string& input, const json& expected) {
    if (input.size() > kByteByByteBytes) return;
    Reader reader;
    for (char byte : input) reader.Feed({&byte, 1});
    ExpectEvents(expected, reader.events());
  });
}

TEST(WebSocketConformance, CutInTwoAtEveryPlace) {
  ForEachVector([](const std::string& input, const json& expected) {
    if (input.size() > kByteByByteBytes) return;
    const size_t step = 1 + input.size() / kEverySplitBytes;
    for (size_t at = 1; at < input.size(); at += step) {
      Reader reader;
      reader.Feed(std::string_view(input).substr(0, at));
      reader.Feed(std::string_view(input).substr(at));
      ExpectEvents(expected, reader.events());
    }
  });
}

}  // namespace
}  // namespace apm::websocket
