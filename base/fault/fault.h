// Places where a test may have the program die.
//
//   fault::Point("agent.delete.stopped");
//   Forget(worker);
//   fault::Point("agent.delete.forgotten");
//
// A name says the program, the operation, and what has just been done (in the
// base form of the verb: what is about to be). In the programs that users get,
// a point is an empty function (point_off.cc). The same objects linked with
// point_on.cc are the chaos variants, in which a test that shares a Board with
// them can kill the program there: exactly there, so that no sleep has to hit
// it. `apm_chaos_variant()` makes them; tests/chaos walks every point.

#pragma once

#include <string_view>

namespace apm::fault {

// Thread: any. Costs a call in the product, and no forbidden system call in a
// variant: the proxy passes points inside of its sandbox.
void Point(std::string_view name);

// One of a family, such as the messages of a channel: "name.number".
void Point(std::string_view name, int number);

}  // namespace apm::fault
