"""Leaves a process behind that has left everything: its parents, its session,
its standard descriptors; and that ignores SIGTERM. Says who it is."""

import os
import signal

reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    nothing = os.open("/dev/null", os.O_RDWR)
    for standard in 0, 1, 2:
        os.dup2(nothing, standard)
    os.write(writer, b"%d\n" % os.getpid())
    while True:
        signal.pause()
os.wait()
print("left", os.read(reader, 32).decode().strip(), flush=True)
while True:
    signal.pause()
