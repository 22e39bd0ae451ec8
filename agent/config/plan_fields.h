// How two definitions of one worker differ, in words, and what each difference
// asks for: the half of plan.h that knows the fields.

#pragma once

#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/config/plan.h"

namespace apm::config {

struct Differences {
  ChangeSteps steps;
  std::vector<std::string> fields;  // As PlannedChange::fields.
};

// All fields but `instances`, which commands change as well: see plan.cc.
Differences Compare(const WorkerConfig& before, const WorkerConfig& after);

}  // namespace apm::config
