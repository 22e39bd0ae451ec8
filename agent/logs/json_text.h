// The inside of a JSON string (RFC 8259, 7). Pure.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace apm::logs {

// Appends `text`, escaped and without quotes. What is not UTF-8 becomes
// U+FFFD. Six bytes for one at most.
void AppendJsonText(std::string_view text, std::string& out);

// The text of what AppendJsonText wrote; nullopt if it cannot have written it.
std::optional<std::string> ReadJsonText(std::string_view escaped);

}  // namespace apm::logs
