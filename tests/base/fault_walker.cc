// Passes the points that its arguments name, and says so; then one of a
// family.

#include <cstdio>

#include "base/fault/fault.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    apm::fault::Point(argv[i]);
    puts(argv[i]);
    fflush(stdout);
  }
  apm::fault::Point("walker.end", 7);
  puts("end");
  return 0;
}
