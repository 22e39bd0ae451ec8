// Workers as people read them. Pure: messages in, text out.

#pragma once

#include <string>
#include <vector>

#include "apm/v1/worker.pb.h"

namespace apm::ctl {

// One row an instance, and below the table a line for each worker that is in
// trouble, or is not as its configuration says.
std::string WorkersTable(const std::vector<v1::Worker>& workers, bool colors);

// Everything about one.
std::string WorkerDetails(const v1::Worker& worker, bool colors);

// "web: ready, pid 12": what became of a command.
std::string WorkerLine(const v1::Worker& worker, bool colors);

// Whether commands made a worker of the configuration differ from it.
bool IsChangedByCommand(const v1::Worker& worker);

// "web: changed by command: stopped; undo with: apmctl config apply", or
// nothing if it is as configured.
std::string OverlayLine(const v1::Worker& worker);

// "web: crashloop: exited with status 1; see: apmctl logs web", or nothing if
// the worker is as it was told to be.
std::string ProblemLine(const v1::Worker& worker);

}  // namespace apm::ctl
