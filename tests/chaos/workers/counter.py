"""Prints numbered lines as fast as it can: LINES of them from each start."""

import os
import signal
import sys

count = int(sys.argv[1])
filler = "x" * int(sys.argv[2])
out = sys.stdout
for number in range(count):
    out.write(f"line {number} of {count} {filler} end\n")
out.write("all lines are printed\n")
out.flush()
while True:
    signal.pause()
