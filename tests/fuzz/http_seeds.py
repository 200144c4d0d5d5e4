"""Seeds of the targets that read requests: heads, addresses, origins, tokens, and the targets and JSON of the API."""

import json

from . import heads
from .plugins import NOW, jwt
from .seed_bytes import UUID


def wires() -> dict[str, dict[str, bytes]]:
    browser = b"".join((*heads.UPGRADE[:6], *heads.UPGRADE[8:10], b"\r\n"))
    init = b"HTTP/1.1 200 OK\r\nServer: xapi\r\n\r\nRFB 003.008\n"
    get = b"GET /v2.1/servers/detail?name=one HTTP/1.1\r\nHost: localhost:8774\r\n"
    action = b"POST /v2.1/servers/%s/action HTTP/1.1\r\nHost: localhost:8774\r\n" % UUID
    login = json.dumps(
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}}}
    ).encode()
    ask = b'{"os-getVNCConsole": {"type": "novnc"}}'
    v2 = b"\r\n\r\n\0\r\nQUIT\n"
    return {
        "http-request": {
            "browser": b"\0" + browser,
            "all": b"\0" + b"".join(heads.UPGRADE),
            "java": b"\0CONNECT /console?token=T HTTP/1.0\r\n\r\nRFB 003.008\n",
            "bare-lf": b"\0GET / HTTP/1.1\nHost: h\n\nrest",
            "control": b"\0GET / HTTP/1.1\r\nConnection: close,\x1dUpgrade\r\n\r\n",
            "mixed": b"\0GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
            "folded": b"\0GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "space": b"\0GET / HTTP/1.1\r\nA : b\r\n\r\n",
            "too-big": b"\1GET / HTTP/1.1\r\nA: " + b"b" * 60 + b"\r\n\r\n",
        },
        "http-upgrade": {
            "novnc": b"".join(heads.UPGRADE),
            "browser": browser,
            "version-013": browser.replace(b": 13", b": 013"),
            "two-keys": browser.replace(b"\r\n\r\n", b"\r\n" + heads.UPGRADE[4] + b"\r\n"),
        },
        "access-path": {
            "open": b"\0" + init,
            "refused": b"\0HTTP/1.1 404 Not Found\r\n\r\n",
            "created": b"\0HTTP/1.1 201 200\r\n\r\n",
            "no-http": b"\0RFB 003.008\n\n\n",
            "bad-path": b"\1" + init,
            "long-path": b"\5" + init,
        },
        "proxy-protocol": {
            "haproxy-v1": b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 6080\r\nGET / HTTP/1.1\r\n",
            "six-v1": b"PROXY TCP6 2001:db8::1 ::1 40000 6080\r\n",
            "port-99999-v1": b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 6080\r\n",
            "short-v2": v2 + b"\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\x9c\x40\x17",
            "unknown-v1": b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
            "haproxy-v2": v2 + b"\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x9c\x40\x17\xc0GET",
            "six-v2": v2 + b"\x21\x21\0\x27" + bytes(15) + b"\1" + bytes(15) + b"\1\0\1\0\2\4\0\0",
            "mapped-v2": v2 + b"\x21\x21\0\x24" + bytes(10) + b"\xff\xff\xc0\0\2\1" + bytes(20),
            "local-v2": v2 + b"\x20\0\0\0",
            "unix-v2": v2 + b"\x21\x31\0\xd8" + bytes(216),
            "long-v2": v2 + b"\x21\x11\x08\x01",
        },
        "forwarded": {
            "one": b"127.0.0.1\n192.0.2.1",
            "several": b"10.0.0.1\n192.0.2.1, 198.51.100.7, 10.0.0.2\n[2001:db8::1]",
            "six": b"::ffff:10.0.0.1\nfd00::1, 2001:db8::1",
            "foreign": b"198.51.100.1\n127.0.0.1",
        },
        "origin": {
            "own": b"\5http://localhost:6080\nlocalhost:6080",
            "six": b"\5http://[::1]:6080\n[::1]:6080",
            "allowed": b"\5http://console.example.org\nlocalhost\nconsole.example.org\n[2001:db8::1]",
            "foreign": b"\5http://example.org\nlocalhost",
            "path": b"\5http://localhost/evil\nlocalhost",
            "user": b"\5http://localhost@evil\nlocalhost",
            "null": b"\5null\nlocalhost",
            "https": b"\x15https://localhost\nlocalhost",
            "two": b"\6http://a\nhttp://b\nlocalhost",
        },
        "token": {
            "query": b"/?token=" + UUID,
            "path": b"/vnc_auto.html?path=%3Ftoken%3D" + UUID,
            "escaped": b"/?tok%65n=" + UUID,
            "quoted": b"/?token='\";" + UUID,
            "cookie": b"/websockify\na=b; token=" + UUID,
        },
        "access-url": {
            "plain": b"http://127.0.0.1:6080/vnc_auto.html",
            "query": b"http://h/vnc.html?a=b",
            "path": b"https://h/vnc.html?path=websockify%3Fx%3Dy#top",
            "empty-path": b"http://[::1]:6080/?path=",
        },
        "token-target": {
            "address": b"10.0.0.1:5900",
            "port-0": b"h:0",
            "ipv6": b"[2001:db8::1]:5900",
            "socket": b"unix_socket:/run/vnc/a.sock",
            "redis": b'{"host": "h:5900", "password": "p"}',
            "source": b'h:6379:1:"p:q":"a:b"',
            "url": b"rediss://u:p@h:7/2#space",
        },
        "token-path": {
            "name": b"vm1",
            "socket": b"a.sock",
            "below": b"sub/b",
            "up": b"../secret",
            "similar": b"../in-other/s",
            "link": b"link",
            "linked-folder": b"up/s",
        },
        "token-jwt": {
            "good": jwt({"host": "h", "port": 1, "exp": NOW + 60}),
            "sha512": jwt({"host": "h", "port": "1", "iat": NOW}, "HS512"),
            "expired": jwt({"host": "h", "port": 1, "exp": NOW}),
            "for-ever": jwt({"host": "h", "port": 1}),
            "forged": jwt({"host": "h", "port": 1, "exp": NOW + 60}, secret=b"x" * 32),
            "none": b"eyJhbGciOiJub25lIn0.eyJob3N0IjoiaCIsInBvcnQiOjEsImV4cCI6OTk5OTk5OX0.",
            "encrypted": b"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
        },
        "page": {
            "page": b"/vnc.html?token=1",
            "below": b"/app/images/icon.svg",
            "up": b"/..%2fsecret.html",
            "link": b"/link.html",
        },
        "api-json": {
            "action": ask,
            "login": login,
            "deep": b"[" * 32 + b"]" * 32,
            "deeper": b"[" * 33 + b"]" * 33,
            "strings": b'{"a":"[[[[\\"{{"}',
        },
        "api-target": {
            "list": b"/v2.1/servers/detail?name=one&limit=5\nlocalhost:8774\ncompute 2.31",
            "escaped": b"/v2.1/servers/a%2Fb?x=%41\n[::1]:8774\nlatest",
            "newer": b"/v2.1\nlocalhost\ncompute 2.32\n2.32",
            "others": b"/\nLOCALHOST.\nidentity 3.14, compute 2.6\n2.1",
        },
        "api-site": {
            "list": b"\0" + get + b"\r\n",
            "two": b"\0" + get + b"\r\n" + get + b"\r\n",
            "action": b"\0" + action + b"Content-Length: %d\r\nContent-Type: application/json\r\n\r\n" % len(ask) + ask,
            "chunked": b"\0" + action + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(ask), ask),
            "login": b"\1POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            % len(login)
            + login,
            "basic": b"\1" + get + b"Authorization: Basic YTpi\r\n\r\n",
            "smuggled": b"\0"
            + action
            + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            + get
            + b"\r\n",
            "services": b"\0GET /v2.1/os-services HTTP/1.1\r\nHost: [::1]\r\nX-OpenStack-Nova-API-Version: 2.6\r\n\r\n",
        },
    }
