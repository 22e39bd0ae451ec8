"""13 bytes through the pipe protocol."""

import os
import sys

sys.path.insert(0, os.path.join(os.environ["APM_CONNECTORS"], "python"))

from apm_module import ApmModule  # noqa: E402


def on_connect(session):
    session.write(b"Hello, World!", {"content-type": "text/plain"})
    session.close()


ApmModule(on_connect).run()
