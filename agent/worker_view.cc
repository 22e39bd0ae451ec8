#include "agent/worker_view.h"

#include <cstddef>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

namespace apm::agent {
namespace {

// Why the worker is not as it should be; empty if it is.
std::string Problem(const WorkerParts& parts) {
  if (!parts.record.bind_error.empty()) return parts.record.bind_error;
  for (const supervisor::InstanceSnapshot& instance :
       parts.snapshot.instances) {
    if (instance.problem.empty()) continue;
    std::string problem = absl::StrFormat("%s/%d: %s", parts.snapshot.name,
                                          instance.index, instance.problem);
    const std::string line = parts.last_error_line(instance.index);
    if (!line.empty()) absl::StrAppend(&problem, "; its last words: ", line);
    return problem;
  }
  return "";
}

}  // namespace

WorkerView ViewWorker(WorkerParts parts) {
  const WorkerRecord& record = parts.record;
  WorkerView view;
  view.id = record.id;
  view.source = record.desired.source;
  view.config = AsBound(record);
  const Identity& identity = record.run_as.identity;
  view.config.user =
      identity.name.empty() ? absl::StrCat(identity.uid) : identity.name;
  view.state = parts.snapshot;
  view.instance_ids = record.desired.instance_ids;
  view.problem = Problem(parts);
  if (record.desired.source == store::Source::kConfig) {
    view.overlays =
        config::DescribeOverlay(record.config(), OverlayOf(record.desired));
  }
  view.access_log_file = record.access_log_path;
  view.usage = std::move(parts.usage);
  view.counters = parts.counters;
  return view;
}

}  // namespace apm::agent
