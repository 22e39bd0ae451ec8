// What an agent says to the keeper, and what a keeper hands to its successor.
// The first byte says which of the two follows.
//
// A message, however strange, starts nothing that is not there and exceeds no
// limit. A state that is accepted names no descriptor twice, and is accepted
// again when it is written and read.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <vector>

#include "agent/keeper/note_store.h"
#include "agent/keeper/state.h"
#include "agent/keeper/workers.h"
#include "apm/internal/v1/keeper.pb.h"
#include "apm/internal/v1/keeper_state.pb.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace {

using namespace apm::keeper;
namespace pb = ::apm::internal::v1;

void Expect(bool holds) {
  if (!holds) abort();
}

void Obey(const pb::ToKeeper& request) {
  static const auto loop = apm::EventLoop::Create().value();
  std::vector<apm::UniqueFd> stdio;
  for (int i = 0; i < 3; ++i) {
    stdio.emplace_back(open("/dev/null", O_RDWR | O_CLOEXEC));
  }
  int answers = 0;
  const auto reply = [&](const pb::FromKeeper& answer) {
    Expect(answer.has_spawn_failed());
    ++answers;
  };
  Workers workers(*loop, "/dev/null/apm-exec", reply);
  NoteStore notes;
  switch (request.body_case()) {
    case pb::ToKeeper::kSpawn:
      workers.Spawn(request.spawn(), stdio);
      Expect(answers == 1);
      break;
    case pb::ToKeeper::kSignal:
      workers.Signal(request.signal());
      break;
    case pb::ToKeeper::kAckExit:
      workers.AckExit(request.ack_exit());
      break;
    case pb::ToKeeper::kPutState: {
      const pb::PutState& note = request.put_state();
      const bool kept = notes.Put(note.name(), note.value()).ok();
      Expect(kept == (notes.notes().size() == 1));
      Expect(!kept || (note.name().size() <= NoteStore::kMaxNameBytes &&
                       note.value().size() <= NoteStore::kMaxValueBytes));
      break;
    }
    default:
      break;
  }
  Expect(workers.alive() == 0);
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void Check(const pb::KeeperState& state) {
  const std::vector<int> fds = DescriptorsOf(state);
  if (!CheckState(state).ok()) return;
  Expect(std::set<int>(fds.begin(), fds.end()).size() == fds.size());
  for (const int fd : fds) Expect(fd > STDERR_FILENO);
  pb::KeeperState again;
  Expect(again.ParseFromString(state.SerializeAsString()));
  Expect(CheckState(again).ok() && DescriptorsOf(again) == fds);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const int rest = static_cast<int>(size - 1);
  if (data[0] == 'm') {
    pb::ToKeeper request;
    if (request.ParseFromArray(data + 1, rest)) Obey(request);
  } else {
    pb::KeeperState state;
    if (state.ParseFromArray(data + 1, rest)) Check(state);
  }
  return 0;
}
