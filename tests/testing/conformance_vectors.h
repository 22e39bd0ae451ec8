// Loads tests/conformance/*.json: data that says what is right, with the
// section of the specification that says so.

#pragma once

#include <cstddef>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace apm::testing {

inline nlohmann::json LoadVectors(const std::string& name) {
  std::ifstream file(std::string(APM_SOURCE_DIR "/tests/conformance/") + name);
  nlohmann::json vectors =
      nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(vectors.is_object() && vectors.contains("cases")) << name;
  return vectors["cases"];
}

// JSON strings hold bytes as characters: U+00FF is the byte 0xff.
inline std::string BytesOf(const std::string& utf8) {
  std::string bytes;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    if (lead < 0x80) {
      bytes.push_back(utf8[i]);
      continue;
    }
    const auto next = static_cast<unsigned char>(utf8[++i]);
    bytes.push_back(static_cast<char>((lead & 0x03) << 6 | (next & 0x3f)));
  }
  return bytes;
}

// A string, or a list of strings and {"repeat": string, "times": number}.
inline std::string InputOf(const nlohmann::json& input) {
  if (input.is_string()) return BytesOf(input.get<std::string>());
  std::string bytes;
  for (const nlohmann::json& part : input) {
    if (part.is_string()) {
      bytes += BytesOf(part.get<std::string>());
      continue;
    }
    const std::string repeated = BytesOf(part["repeat"].get<std::string>());
    for (int i = 0; i < part["times"].get<int>(); ++i) bytes += repeated;
  }
  return bytes;
}

inline std::string CaseName(const nlohmann::json& vector) {
  return vector["name"].get<std::string>() + " (" +
         vector["section"].get<std::string>() + ")";
}

}  // namespace apm::testing
