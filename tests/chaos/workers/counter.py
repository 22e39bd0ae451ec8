"""Prints numbered lines as fast as it can, when it gets SIGUSR1.

    counter.py COUNT WIDTH     WIDTH bytes of filler in each line
"""

import signal
import sys

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
count, filler = int(sys.argv[1]), "x" * int(sys.argv[2])
print("the counter waits", flush=True)
signal.sigwait({signal.SIGUSR1})
for number in range(count):
    sys.stdout.write(f"line {number} of {count} {filler} end\n")
print("the counter is through", flush=True)
while True:
    signal.pause()
