from apm_module import ApmModule, ApmSession

def on_connect(s: ApmSession):
    # s.protocol     — 'http' | 'ws' | 'tcp'
    # s.method       — HTTP method string
    # s.path         — request path
    # s.headers      — dict
    # s.remote_ip    — real client IP
    # s.cookies      — dict
    # s.instance_id  — APM_INDEX env var

    s.write(b'Hello World', {'x-status': '200', 'content-type': 'text/plain'})
    s.close()

ApmModule(on_connect).run()
