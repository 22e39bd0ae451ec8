#include "agent/keeper/note_store.h"

#include <cstddef>
#include <string>
#include <utility>

#include <absl/status/status.h>

namespace apm::keeper {

absl::Status NoteStore::Put(const std::string& name, std::string value) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError("name of a note is empty or long");
  }
  if (value.size() > kMaxValueBytes) {
    return absl::InvalidArgumentError("note '" + name + "' is too long");
  }
  const auto found = notes_.find(name);
  const bool is_new = found == notes_.end();
  const size_t before = is_new ? 0 : name.size() + found->second.size();
  const size_t total = total_bytes_ - before + name.size() + value.size();
  if ((is_new && notes_.size() >= kMaxNotes) || total > kMaxTotalBytes) {
    return absl::ResourceExhaustedError("no room for note '" + name + "'");
  }
  total_bytes_ = total;
  notes_[name] = std::move(value);
  return absl::OkStatus();
}

void NoteStore::Drop(const std::string& name) {
  const auto found = notes_.find(name);
  if (found == notes_.end()) return;
  total_bytes_ -= name.size() + found->second.size();
  notes_.erase(found);
}

}  // namespace apm::keeper
