#include "agent/sweeper.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "agent/process_sweep.h"
#include "agent/worker_environment.h"
#include "base/log/log.h"

namespace apm::agent {

using supervisor::InstanceKey;
using supervisor::Survivor;

void Sweeper::Add(const InstanceKey& key, pid_t pid) {
  waiting_[key] = pid;
  if (!busy_) Begin();
}

void Sweeper::Begin() {
  busy_ = true;
  std::vector<InstanceKey> keys;
  std::vector<SweepTarget> targets;
  for (const auto& [key, pid] : std::exchange(waiting_, {})) {
    keys.push_back(key);
    targets.push_back({FormatProcessTag({daemon_id_, key}), pid});
  }
  background_.Post([this, keys = std::move(keys),
                    targets = std::move(targets)] {
    SweepReport report = SweepProcesses(targets);
    loop_.Post([this, keys, targets, report = std::move(report)] {
      if (!report.complete) {
        log::Error(
            "more processes than can be killed were left by workers that have "
            "ended: look for APM_PROCESS in /proc/*/environ");
      }
      for (size_t i = 0; i < keys.size(); ++i) {
        std::vector<Survivor> survivors;
        for (const SweepReport::Killed& killed : report.killed) {
          if (killed.tag == targets[i].tag) survivors.push_back(killed.who);
        }
        swept_(keys[i], survivors);
      }
      busy_ = false;
      if (!waiting_.empty()) Begin();
    });
  });
}

}  // namespace apm::agent
