// What an agent notes about one process, for the agent that adopts it: the
// bytes that the keeper keeps under ProcessNoteName(). Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/proxy_client.h"

namespace apm::agent {

struct ProcessNote {
  std::string memo;  // The supervisor's (agent/supervisor/memo.h).
  std::optional<WorkerTraits> traits;  // Absent: it has not spoken yet.
  uint64_t definition = 0;             // DefinitionHash() at its start.
};

std::string EncodeProcessNote(const ProcessNote& note);

// nullopt if the bytes are not a note.
std::optional<ProcessNote> DecodeProcessNote(std::string_view bytes);

}  // namespace apm::agent
