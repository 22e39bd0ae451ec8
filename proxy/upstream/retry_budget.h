// Bounds retries to a share of the traffic, so that they cannot turn one
// failing worker into a storm (the retry budget of Finagle and gRPC).

#pragma once

#include <algorithm>

namespace apm::upstream {

// Thread-compatible.
class RetryBudget {
 public:
  // Each request earns a tenth of a retry; a few are there from the start.
  void OnRequest() { tokens_ = std::min(tokens_ + 0.1, kMost); }

  // Takes one retry, if there is one.
  bool Take() {
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  static constexpr double kMost = 10;
  double tokens_ = kMost;
};

}  // namespace apm::upstream
