def on_connect(s: ApmSession):
    def on_data(data: bytes, is_binary: bool):
        s.write(data)
    s.on_data  = on_data
    s.on_close = lambda: None

ApmModule(on_connect).run()
