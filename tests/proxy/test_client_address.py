"""Who the worker is told the client is."""

from proxy_harness import Proxy

SPOOFED = "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n"


def head_of(proxy, headers):
    worker, client = proxy.attach(), proxy.connect()
    client.get("/", headers)
    session = worker.expect_session()
    session.answer()
    client.response()
    return session.head


def test_forwarding_headers_do_not_get_through_unless_trusted():
    with Proxy() as proxy:
        head = head_of(proxy, SPOOFED + "Forwarded: for=203.0.113.9\r\n")
        assert head["remoteAddress"] == "127.0.0.1"
        for name in ("x-forwarded-for", "x-real-ip", "forwarded"):
            assert name not in head["headers"]


def test_a_trusted_proxy_is_believed():
    with Proxy(route={"trust_proxy": True}) as proxy:
        head = head_of(proxy, "X-Forwarded-For: 198.51.100.7\r\n"
                              "X-Forwarded-Proto: https\r\n")
        assert head["remoteAddress"] == "198.51.100.7, 127.0.0.1"
        assert head["headers"]["x-forwarded-proto"] == "https"


def test_only_the_rightmost_untrusted_address_counts():
    with Proxy(route={"trust_proxy": True}) as proxy:
        head = head_of(proxy,
                       "X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\n")
        assert head["remoteAddress"].split(", ")[0] == "198.51.100.7"
        assert "203.0.113.9" not in head["remoteAddress"]


def test_a_peer_outside_of_trusted_is_not_believed():
    with Proxy(route={"trust_proxy": True,
                      "trusted": ["10.0.0.0/8"]}) as proxy:
        head = head_of(proxy, SPOOFED)
        assert head["remoteAddress"] == "127.0.0.1"
        assert "x-forwarded-for" not in head["headers"]


def test_a_unix_peer_is_believed_when_trusted():
    with Proxy(unix=True, route={"trust_proxy": True}) as proxy:
        head = head_of(proxy, "X-Forwarded-For: 198.51.100.7\r\n")
        assert head["remoteAddress"] == "198.51.100.7"


def test_an_unusable_forwarded_for_is_counted():
    with Proxy(route={"trust_proxy": True}) as proxy:
        head = head_of(proxy, "X-Forwarded-For: nonsense\r\n")
        assert head["remoteAddress"] == "127.0.0.1"
        assert proxy.counters.worker("forwarded_invalid") == 1
