#include "agent/note_book.h"

#include <string>
#include <utility>

namespace apm::agent {

using supervisor::InstanceKey;

void NoteBook::Adopt(const InstanceKey& key, ProcessNote note) {
  processes_[key] = {std::move(note), /*sent=*/true};
}

void NoteBook::SetMemo(const InstanceKey& key, std::string memo) {
  Entry& entry = processes_[key];
  entry.note.memo = std::move(memo);
  if (entry.sent) Send(key, entry);
}

void NoteBook::SetLaunch(const InstanceKey& key, uint64_t definition) {
  Entry& entry = processes_[key];
  entry.note.definition = definition;
  Send(key, entry);
}

void NoteBook::SetTraits(const InstanceKey& key, WorkerTraits traits) {
  const auto entry = processes_.find(key);
  if (entry == processes_.end()) return;
  entry->second.note.traits = std::move(traits);
  if (entry->second.sent) Send(key, entry->second);
}

const ProcessNote* NoteBook::Find(const InstanceKey& key) const {
  const auto entry = processes_.find(key);
  return entry == processes_.end() ? nullptr : &entry->second.note;
}

void NoteBook::Drop(const InstanceKey& key) {
  const auto entry = processes_.find(key);
  if (entry == processes_.end()) return;
  if (entry->second.sent) keeper_.DropState(ProcessNoteName(key));
  processes_.erase(entry);
}

void NoteBook::Send(const InstanceKey& key, Entry& entry) {
  entry.sent = true;
  keeper_.PutState(ProcessNoteName(key), EncodeProcessNote(entry.note));
}

void NoteBook::SetInstanceMemo(const InstancePlace& place,
                               const std::string& memo) {
  keeper_.PutState(InstanceNoteName(place), memo);
}

void NoteBook::DropInstanceMemo(const InstancePlace& place) {
  keeper_.DropState(InstanceNoteName(place));
}

}  // namespace apm::agent
