"""Tells a client, as JSON, what the agent knows about its request."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.environ['APM_CONNECTORS'], 'python'))
from apm_module import ApmModule, ApmSession  # noqa: E402


def on_connect(s: ApmSession):
    print(s.remote_ip, s.method, s.path)  # apmctl logs python
    answer = {
        'you': s.remote_ip,
        'path': s.path_array,
        'query': s.query_object,
        'cookies': s.cookies,
        'instance': s.instance_id,
    }
    s.write(json.dumps(answer, indent=2) + '\n', {'x-status': 200, 'content-type': 'application/json'})
    s.close()


ApmModule(on_connect).run()
