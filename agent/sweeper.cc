#include "agent/sweeper.h"

#include <string>
#include <utility>
#include <vector>

#include "agent/process_sweep.h"
#include "agent/worker_environment.h"
#include "base/log/log.h"

namespace apm::agent {

using supervisor::InstanceKey;
using supervisor::Survivor;

void Sweeper::Add(const InstanceKey& key) {
  waiting_.insert(key);
  if (!busy_) Begin();
}

void Sweeper::Begin() {
  busy_ = true;
  std::vector<std::pair<InstanceKey, std::string>> tags;
  for (const InstanceKey& key : std::exchange(waiting_, {})) {
    tags.emplace_back(key, FormatProcessTag({daemon_id_, key}));
  }
  background_.Post([this, tags = std::move(tags)] {
    std::vector<std::string> wanted;
    for (const auto& [key, tag] : tags) wanted.push_back(tag);
    SweepReport report = SweepProcesses(wanted);
    loop_.Post([this, tags, report = std::move(report)] {
      if (!report.complete) {
        log::Error(
            "more processes than can be killed were left by workers that have "
            "ended: look for APM_PROCESS in /proc/*/environ");
      }
      for (const auto& [key, tag] : tags) {
        std::vector<Survivor> survivors;
        for (const SweepReport::Killed& killed : report.killed) {
          if (killed.tag == tag) survivors.push_back(killed.who);
        }
        swept_(key, survivors);
      }
      busy_ = false;
      if (!waiting_.empty()) Begin();
    });
  });
}

}  // namespace apm::agent
