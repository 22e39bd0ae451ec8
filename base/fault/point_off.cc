#include <string_view>

#include "base/fault/fault.h"

namespace apm::fault {

void Point(std::string_view) {}

void Point(std::string_view, int) {}

}  // namespace apm::fault
