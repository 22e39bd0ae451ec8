"""Run by test_nginx.py inside its namespaces: ports are free, /opt is empty."""

import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import pytest
from harness import WORKERS, Agent
from load import parse_answer
from websocket import WebSocket

# Not loopback, so that nobody trusts it: a visitor.
VISITOR = "192.0.2.10"
NGINX = "192.0.2.1"

HTTP_BLOCK = """
worker {
    name         myapp;
    exec         node;
    params       server.js;
    server       http://127.0.0.1:3000;
    trust_proxy  true;
}
"""
WEBSOCKET_BLOCK = HTTP_BLOCK.replace("http://127.0.0.1:3000", "ws://127.0.0.1:3001")
BOTH_BLOCK = HTTP_BLOCK.replace("http://127.0.0.1:3000", "http://127.0.0.1:3000, ws://127.0.0.1:3001")
UNIX_BLOCK = """
worker {
    name         myapp;
    exec         node;
    params       server.js;
    path         /opt/myapp;
    server       http://unix:./myapp.sock;  # → /opt/myapp/myapp.sock
    trust_proxy  true;
}
"""

PROXY_HEADERS = """
        proxy_set_header    Host               $host;
        proxy_set_header    X-Real-IP          $remote_addr;
        proxy_set_header    X-Forwarded-For    $proxy_add_x_forwarded_for;
        proxy_set_header    X-Forwarded-Proto  $scheme;
"""
HTTP_LOCATION = """
    location / {
        proxy_pass          http://127.0.0.1:3000;
        proxy_http_version  1.1;""" + PROXY_HEADERS + "    }\n"
WEBSOCKET_LOCATION = """
    location /ws {
        proxy_pass          http://127.0.0.1:3001;
        proxy_http_version  1.1;
        proxy_set_header    Upgrade            $http_upgrade;
        proxy_set_header    Connection         "upgrade";""" + PROXY_HEADERS + """
        proxy_read_timeout  3600s;
        proxy_send_timeout  3600s;
    }
"""
UNIX_LOCATION = """
    location / {
        proxy_pass          http://apm_myapp;
        proxy_http_version  1.1;
        proxy_set_header    Connection         "";""" + PROXY_HEADERS + "    }\n"
UNIX_UPSTREAM = """
upstream apm_myapp {
    server    unix:/opt/myapp/myapp.sock;
    keepalive 32;
}
"""


class Nginx:
    """The reference's server block around `location`, with a certificate of our own."""

    def __init__(self, location, upstream=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="apm-nginx-"))
        self.folder.chmod(0o755)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.folder / "privkey.pem", "-out", self.folder / "fullchain.pem",
                        "-days", "2", "-subj", "/CN=myapp.example.com"], check=True, capture_output=True)
        (self.folder / "nginx.conf").write_text(f"""
daemon off;
worker_processes 1;
user root;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log;
events {{ worker_connections 256; }}
http {{
access_log off;
client_body_temp_path {self.folder}; proxy_temp_path {self.folder}; fastcgi_temp_path {self.folder};
uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
{upstream}
server {{
    listen       443 ssl;
    server_name  myapp.example.com;

    ssl_certificate      {self.folder}/fullchain.pem;
    ssl_certificate_key  {self.folder}/privkey.pem;
{location}
}}
}}
""")
        self.process = subprocess.Popen(["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.folder)

    def connect(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for _ in range(200):
            try:
                raw = socket.create_connection((NGINX, 443), timeout=30, source_address=(VISITOR, 0))
                return context.wrap_socket(raw, server_hostname="myapp.example.com")
            except ConnectionRefusedError:
                self.process.poll()
                assert self.process.returncode is None, (self.folder / "error.log").read_text()
                try:
                    self.process.wait(0.05)
                except subprocess.TimeoutExpired:
                    pass
        raise AssertionError("nginx does not listen")

    def get(self, path="/", headers=""):
        with self.connect() as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: myapp.example.com\r\n{headers}Connection: close\r\n\r\n"
                           .encode())
            received = b""
            while piece := client.recv(65536):
                received += piece
        answer = parse_answer(received)
        assert answer is not None, received
        status, body, _, _ = answer
        return status, body


def running(block, folder=None):
    agent = Agent(block)
    shutil.copy(WORKERS / "server.js", folder or agent.folder)
    return agent


def test_http():
    with running(HTTP_BLOCK) as agent, Nginx(HTTP_LOCATION) as nginx:
        agent.ctl("start", "myapp")
        status, body = nginx.get("/page?x=1")
        assert status == 200
        seen = json.loads(body)
        assert seen["path"] == "/page"
        assert seen["remote_ip"] == VISITOR
        assert seen["headers"]["host"] == "myapp.example.com"
        assert seen["headers"]["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("spoofed", [
    "X-Forwarded-For: 198.51.100.66\r\n",
    "X-Forwarded-For: 127.0.0.1\r\n",
    "X-Forwarded-For: unix\r\nX-Real-IP: 198.51.100.66\r\nForwarded: for=198.51.100.66\r\n",
])
def test_a_spoofed_header_does_not_get_through(spoofed):
    with running(HTTP_BLOCK) as agent, Nginx(HTTP_LOCATION) as nginx:
        agent.ctl("start", "myapp")
        status, body = nginx.get("/", spoofed)
        assert status == 200
        assert json.loads(body)["remote_ip"] == VISITOR


def test_websocket():
    with running(WEBSOCKET_BLOCK) as agent, Nginx(WEBSOCKET_LOCATION) as nginx:
        agent.ctl("start", "myapp")
        client = WebSocket(nginx.connect(), "/ws", host="myapp.example.com")
        assert client.status == 101
        client.send("through nginx")
        assert client.receive() == "through nginx"
        client.socket.close()


def test_http_and_websocket_on_one_domain():
    with running(BOTH_BLOCK) as agent, Nginx(WEBSOCKET_LOCATION + HTTP_LOCATION) as nginx:
        agent.ctl("start", "myapp")
        assert json.loads(nginx.get("/api")[1])["remote_ip"] == VISITOR
        client = WebSocket(nginx.connect(), "/ws", host="myapp.example.com")
        client.send(b"\x00\x05\x03")
        assert client.receive() == b"\x00\x05\x03"
        client.socket.close()


def test_unix_socket_upstream_with_a_relative_path():
    os.makedirs("/opt/myapp")
    with running(UNIX_BLOCK, "/opt/myapp") as agent, Nginx(UNIX_LOCATION, UNIX_UPSTREAM) as nginx:
        agent.ctl("start", "myapp")
        assert os.path.exists("/opt/myapp/myapp.sock")
        for number in range(10):
            status, body = nginx.get(f"/{number}", "X-Forwarded-For: 198.51.100.66\r\n")
            assert status == 200
            assert json.loads(body)["remote_ip"] == VISITOR
    assert not os.path.exists("/opt/myapp/myapp.sock")
