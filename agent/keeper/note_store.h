// The agent's notes to its successor, by name. Bytes: what they mean is the
// agent's business.

#pragma once

#include <cstddef>
#include <map>
#include <string>

#include <absl/status/status.h>

namespace apm::keeper {

class NoteStore {
 public:
  static constexpr size_t kMaxNotes = 65'536;
  static constexpr size_t kMaxNameBytes = 256;
  static constexpr size_t kMaxValueBytes = size_t{64} << 10;
  // Of all names and values: every new agent gets all of it in one message.
  static constexpr size_t kMaxTotalBytes = size_t{32} << 20;

  // Keeps `value` in place of what the name stood for. On failure that stays:
  // kInvalidArgument for an empty or too long name or a too long value,
  // kResourceExhausted if full.
  absl::Status Put(const std::string& name, std::string value);

  // Harmless if the name is not known.
  void Drop(const std::string& name);

  const std::map<std::string, std::string>& notes() const { return notes_; }

 private:
  std::map<std::string, std::string> notes_;
  size_t total_bytes_ = 0;
};

}  // namespace apm::keeper
