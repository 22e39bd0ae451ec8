// The version of the whole product: every program says the same.

#pragma once

namespace apm {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace apm
