"""Answers by path; the tests say what they expect of each."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.environ["APM_CONNECTORS"], "python"))

from apm_module import ApmModule  # noqa: E402


def on_connect(session):
    if session.protocol == "ws":
        session.on_data = lambda data, is_binary: session.write(
            data if is_binary else bytes(data).decode())
        return
    if session.path == "/print":
        print("print says", session.query)
        session.write("printed", {"content-type": "text/plain"})
    elif session.path == "/log":
        session.log("warning", "disk nearly\nfull", {"free": 12})
        session.write("logged")
    elif session.path == "/never":
        return
    elif session.path == "/exit":
        os._exit(3)
    else:
        session.write(json.dumps({
            "path": session.path,
            "remote_ip": session.remote_ip,
            "headers": session.headers,
            "pid": os.getpid(),
            "instance": session.instance_id,
        }), {"x-status": "200", "content-type": "application/json"})
    session.close()


ApmModule(on_connect).run()
