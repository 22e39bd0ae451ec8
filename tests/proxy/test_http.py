"""One request through the proxy, and what HTTP/1.1 asks around it."""

from proxy_harness import Proxy


def test_a_get_goes_through_and_comes_back():
    with Proxy() as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.get("/a/b?x=1", "X-Custom: yes\r\n")
        session = worker.expect_session()
        assert session.head["method"] == "GET"
        assert session.head["path"] == "/a/b"
        assert session.head["query"] == "x=1"
        assert session.head["headers"]["x-custom"] == "yes"
        assert session.head["remoteAddress"] == "127.0.0.1"
        assert session.id.startswith("7-")
        session.answer(b"hello", {"content-type": "text/plain"})
        answer = client.response()
        assert (answer.status, answer.body) == (200, b"hello")
        assert answer.headers["content-type"] == "text/plain"
        assert answer.headers["content-length"] == "5"
        assert "date" in answer.headers
