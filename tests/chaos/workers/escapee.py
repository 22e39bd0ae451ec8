"""Does what it can to outlive its worker: ignores TERM, and leaves a grandchild
behind that is of another session, has no descriptor of ours, and ignores TERM
as well. Says the pids of both.
"""

import os
import signal
import sys

signal.signal(signal.SIGTERM, signal.SIG_IGN)
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        os.write(writer, str(os.getpid()).encode())
        os.closerange(0, 1024)
        while True:
            signal.pause()
    os._exit(0)
os.wait()
print("escapee", os.getpid(), os.read(reader, 32).decode(), file=sys.stderr, flush=True)
while True:
    signal.pause()
