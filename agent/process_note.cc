#include "agent/process_note.h"

#include <optional>
#include <string>
#include <string_view>

#include "apm/internal/v1/notes.pb.h"

namespace apm::agent {

namespace pb = ::apm::internal::v1;

std::string EncodeProcessNote(const ProcessNote& note) {
  pb::ProcessNote message;
  message.set_memo(note.memo);
  if (note.traits) {
    pb::WorkerTraits& traits = *message.mutable_traits();
    traits.set_connector(note.traits->connector);
    traits.set_concurrency(note.traits->concurrency);
    for (const std::string& feature : note.traits->features) {
      traits.add_features(feature);
    }
  }
  message.set_definition(note.definition);
  return message.SerializeAsString();
}

std::optional<ProcessNote> DecodeProcessNote(std::string_view bytes) {
  pb::ProcessNote message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::nullopt;
  }
  ProcessNote note;
  note.memo = message.memo();
  if (message.has_traits()) {
    const pb::WorkerTraits& traits = message.traits();
    note.traits =
        WorkerTraits{traits.connector(),
                     traits.concurrency(),
                     {traits.features().begin(), traits.features().end()}};
  }
  note.definition = message.definition();
  return note;
}

}  // namespace apm::agent
