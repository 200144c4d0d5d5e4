"""Make the part of the corpus that comes from real sessions: ``python -m tests.fuzz.seeds``.

Handshakes of QEMU, TigerVNC, noVNC and the Java viewer, heads of browsers and proxies, XML of libvirt, requests of
OpenStack's clients.  Inputs that fuzzing added are named by hashes.
"""

import json
import struct
import zlib

from tests.support.vnc_server import update

from . import bus, directory, fronts, heads, shield
from .fronts import CLIENT, CLIENT_LEAVES, CONNECT, FRAMED, HEAD, LOGIN, OFFER, SERVER_INIT, UPSTREAM, WAIT, script
from .plugins import NOW, jwt
from .table import CORPUS

RFB = b"RFB 003.008\n"
CHALLENGE = bytes(range(16))
UUID = b"11111111-2222-3333-4444-555555555555"
POINTER, KEY, QEMU_KEY = b"\5\1\0\2\0\3", b"\4\1\0\0\0\0\0\x41", b"\xff\0\0\1\0\0\0\x41\0\0\0\x1e"
PIXELS = b"\0\0\0\0\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0"
REQUEST = b"\3\1\0\0\0\0\3\x20\2\x58"


def extended(flags: int, body: bytes = b"") -> bytes:
    """An extended ClientCutText."""
    return struct.pack(">B3xiI", 6, -4 - len(body), flags) + body


def zipped(text: bytes) -> bytes:
    """A text compressed as noVNC does it: flushed, without an end."""
    deflate = zlib.compressobj()
    return deflate.compress(struct.pack(">I", len(text) + 1) + text + b"\0") + deflate.flush(zlib.Z_SYNC_FLUSH)


def rfb() -> dict[str, dict[str, bytes]]:
    """Both sides of the handshake; the first byte is for the target."""
    return {
        "rfb-login": {
            "qemu-none": b"\0" + RFB + b"\1\1\0\0\0\0" + SERVER_INIT,
            "qemu-password": b"\x12" + RFB + b"\1\2" + CHALLENGE + b"\0\0\0\0" + SERVER_INIT,
            "wrong-password": b"\x12" + RFB + b"\1\2" + CHALLENGE + b"\0\0\0\1\0\0\0\x15authentication failed",
            "refused": b"\0" + RFB + b"\0\0\0\0\4full",
            "reason-of-4-KiB": b"\0" + RFB + b"\0\0\0\x10\0" + b"why " * 300,
            "empty-screen": b"\0" + RFB + b"\1\1\0\0\0\0\0\0\2\x58" + SERVER_INIT[4:],
            "reason-that-hides": b"\0" + RFB + b"\0\0\0\0\x0aa\n\x1b[2Jb\xe2\x80\xae\0",
            "version-3.3": b"\0RFB 003.003\n\0\0\0\1" + SERVER_INIT,
            "version-3.3-password": b"\x12RFB 003.003\n\0\0\0\2" + CHALLENGE + b"\0\0\0\0" + SERVER_INIT,
            "version-3.7": b"\0RFB 003.007\n\2\1\2" + SERVER_INIT,
            "apple": b"\x12RFB 003.889\n\4\x1e\x21\x24\2" + CHALLENGE + b"\0\0\0\0" + SERVER_INIT,
            "tigervnc": b"\5" + RFB + b"\2\x13\2\0\2\0\2\0\0\1\4\0\0\1\5\1\0\0\0\0" + SERVER_INIT,
            "no-common": b"\1" + RFB + b"\3\x10\x12\x1e",
            "ssh": b"\0SSH-2.0-OpenSSH_9.2p1\r\n",
            "their-order": b"\0" + RFB + b"\2\2\1\0\0\0\0" + SERVER_INIT,
            "flood": b"\x40" + RFB + b"\1\1\0\0\0\0" + SERVER_INIT + bytes(100),
            "small-limit": b"\x40" + RFB + b"\1\1\0\0\0\0" + SERVER_INIT,
            "update-behind": b"\0" + RFB + b"\1\1\0\0\0\0" + SERVER_INIT + update(0, 0, 2, 2),
        },
        "rfb-vencrypt": {
            "x509none": b"\0\0\2\0\1\0\0\1\4\1\0\0\0\0" + SERVER_INIT,
            "x509vnc": b"\4\0\2\0\2\0\0\1\1\0\0\1\5\1" + CHALLENGE + b"\0\0\0\0" + SERVER_INIT,
            "tls": b"\1\0\2\0\1\0\0\1\1\1\0\0\0\0" + SERVER_INIT,
            "version-0.1": b"\0\0\1\0",
            "refused": b"\0\0\2\0\1\0\0\1\4\0",
            "no-common": b"\0\0\2\0\2\0\0\1\0\0\0\1\7",
        },
        "rfb-offer": {
            "novnc": RFB + b"\1\1" + POINTER,
            "exclusive": RFB + b"\1\0",
            "version-3.3": b"RFB 003.003\n\1" + POINTER,
            "version-3.5": b"RFB 003.005\n\0",
            "version-3.7": b"RFB 003.007\n\1\1" + POINTER,
            "version-3.7-other-type": b"RFB 003.007\n\2",
            "other-type": RFB + b"\2",
            "tight": RFB + b"\x10\1",
            "http": b"GET / HTTP/1.1\r\n",
        },
        "rfb-refuse": {
            "version-3.3": b"\0RFB 003.003\n",
            "version-3.7": b"\1RFB 003.007\n",
            "version-3.8": b"\2" + RFB,
            "nothing": b"\3abcd",
        },
    }


def streams() -> dict[str, dict[str, bytes]]:
    """A viewer's messages after the handshake."""
    opening = PIXELS + shield.EVERYTHING + REQUEST
    text = "Grüße".encode()
    return {
        "shield": {
            "novnc": opening + POINTER * 3 + KEY + QEMU_KEY + REQUEST + POINTER,
            "tigervnc": shield.encodings(-316, -313, -312, -308, 7, 16, 5, 0)
            + b"\xf8\0\0\0\x80\0\0\0\4abcd"
            + b"\x96\1\0\0\0\0\3\x20\2\x58"
            + POINTER,
            "cut-text": b"\6\0\0\0\0\0\0\6Gr\xfc\xdfe!" + KEY,
            "clipboard-caps": shield.EVERYTHING + extended(0x1F000001, b"\0\0\0\0"),
            "clipboard-provide": shield.EVERYTHING + extended(0x10000001, zipped(text)) + KEY,
            "clipboard-request": shield.EVERYTHING + extended(0x02000001) + extended(0x08000001),
            "clipboard-bomb": shield.EVERYTHING + extended(0x10000001, zlib.compress(bytes((1 << 20) + 1), 9)),
            "clipboard-behind": shield.EVERYTHING + extended(0x10000001, zlib.compress(text) + b"x"),
            "audio": shield.EVERYTHING + b"\xff\1\0\2\3\2\0\0\xac\x44\xff\1\0\0\xff\1\0\1",
            "power": b"\xfa\0\1\2" + POINTER,
            "resize": b"\xfb\0\3\x20\2\x58\1\0" + bytes(16) + POINTER,
            "stripped": shield.encodings(0, -305, -309, -316) + shield.encodings(-305),
            "colour-map": b"\0\0\0\0\x08\x08\0\0" + bytes(12),
            "colour-map-of-32": b"\0\0\0\0\x20\x08\0\0" + bytes(12),
            "nonsense": b"\0\0\0\0\x18\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0",
            "unknown": POINTER + b"\7\0\0\0",
        },
        "view-only": {
            "viewer": opening + POINTER * 3 + KEY + QEMU_KEY + REQUEST + POINTER,
            "each": PIXELS + REQUEST + b"\xf8" + bytes(7) + b"\2ab" + b"\x96\1" + bytes(8) + b"\6\0\0\0\0\0\0\3abc",
            "clipboard": extended(0x10000001, zipped(text)) + KEY + REQUEST,
            "extensions": b"\xff\1\0\2\3\2\0\0\xac\x44\xff\1\0\0\xfa\0\1\2\xfb\0\3\x20\2\x58\1\0" + bytes(16),
            "unknown": REQUEST + b"\7\0\0\0",
        },
        "frames": {
            "keys": b"\0" + b"".join(fronts.masked(one) for one in (POINTER, KEY, POINTER * 3)),
            "pieces": b"\1\2\x82\1\2\3\4ab\x89\x81\1\2\3\4a\x80\x81\1\2\3\4c" + fronts.masked(b"d"),
            "long": b"\1" + fronts.masked(bytes(126)) + fronts.masked(b""),
            "close": b"\0" + fronts.masked(KEY) + b"\x88\x85\0\0\0\0\3\xe8bye",
            "pong": b"\0\x8a\x81\1\2\3\4a" + fronts.masked(KEY),
            "text": b"\0\x81\x81\1\2\3\4a",
            "wide": b"\0\x82\xff\0\0\0\0\0\1\0\0\1\2\3\4abc",
            "long-form-of-125": b"\0\x82\xfe\0\x7d\1\2\3\4" + bytes(125),
            "long-form-of-65535": b"\0\x82\xff\0\0\0\0\0\0\xff\xff\1\2\3\4",
            "too-big": b"\2" + fronts.masked(b"123456789"),
        },
    }


def wires() -> dict[str, dict[str, bytes]]:
    """HTTP, the PROXY protocol, and their fields."""
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


def messages() -> dict[str, dict[str, bytes]]:
    """The bus, files, XML."""
    call = "0123456789abcdef" * 2
    request = b"".join(bus.REQUEST)
    one = {"uuid": UUID.decode(), "name": "one", "state": "running", "power_state": 1, "vcpus": 1, "memory_mb": 512}
    info = {"console_type": "novnc", "host": "h", "port": 5900, "name": "n", "user_id": "root"}
    console = {"token": "t", "access_url": "http://h/", "connect_info": info}
    hashed = b"$2b$04$" + b"a" * 53
    nova = b"".join(
        part
        for part in (
            b"<domain id='1'><uuid>",
            UUID,
            b"</uuid><name>instance-1</name><metadata><nova:instance xmlns:nova=",
            b"'http://openstack.org/xmlns/libvirt/nova/1.1'><nova:creationTime>2026-01-01 00:00:00</nova:creationTime>",
            b"<nova:owner><nova:user uuid='u'>n</nova:user><nova:project uuid='p'>q</nova:project></nova:owner>",
            b"</nova:instance></metadata><memory unit='KiB'>524288</memory><vcpu current='1'>2</vcpu><devices>",
            b"<graphics type='vnc' port='5900' autoport='yes' listen='127.0.0.1' passwd='secret'>",
            b"<listen type='address' address='127.0.0.1'/></graphics></devices></domain>",
        )
    )
    head = b"<domain><uuid>" + UUID + b"</uuid><name>n</name><devices>"
    return {
        "json": {
            "result": b'{"result":{"expires_at":1.5,"a":[1,null,true]}}',
            "refusal": b'{"error":"InvalidToken","detail":"unknown"}',
            "refusal-with-controls": b'{"error":"InvalidToken","detail":"a\\u001b[2J\\u0007b\\nc"}',
            "huge": b'{"result":1e999}',
            "deep": b"[" * 200,
        },
        "bus-request": {"check": request, "until": request.replace(b'"until":1', b'"until":true')},
        "bus-reply": {"answer": bus.sealed_reply(call, '{"result":1}'), "no-text": b'{"id":"a","sealed":1}'},
        "redis-reply": {
            "replies": b"+PONG\r\n$3\r\nabc\r\n*2\r\n$1\r\na\r\n:1\r\n",
            "errors": b"-NOPERM this user\r\n-ERR x\r\n$-1\r\n",
            "nested": b"*1\r\n" * 9 + b":1\r\n",
            "announcement": b'consoleauth@ab\nworker {"binary":"b","host":"h","info":{}}\n1000',
            "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        },
        "host-answer": {
            "list": json.dumps({"instances": [one, {**one, "name": "two\n"}]}).encode(),
            "one": json.dumps({**one, "host": "host2", "project_id": "p"}).encode(),
            "huge": json.dumps({**one, "memory_mb": 1 << 70}).encode(),
            "console": json.dumps(console).encode(),
        },
        "connect-info": {
            "all": json.dumps(
                {
                    "host": "192.0.2.1",
                    "port": 5900,
                    "socket": None,
                    "internal_access_path": "/c",
                    "instance_uuid": "u",
                    "name": "n",
                    "console_type": "novnc",
                    "user_id": "a",
                    "project_id": None,
                    "compute_host": "h",
                    "expires_at": 1.5,
                    "reconnects": True,
                    "keep_from": 20,
                }
            ).encode(),
            "bool": b'{"host":"h","port":true}',
            "port-65536": b'{"host":"h","port":65536}',
        },
        "redis-url": {
            "plain": b"redis://u:p@h:6379/1",
            "six": b"redis://[::1]:6379",
            "tls": b"rediss://h?ca=/ca.pem&cert=/c.pem&key=/k.pem&server_name=n",
            "unix": b"redis+unix://u@/run/r%20.sock?db=2",
            "sentinel": b"redis+sentinel://u:p@a,b:26379,[::1]:1/mymaster?db=1&tls=true&ca=/ca",
            "bad-port": b"redis://h:port",
            "no-host": b"redis://:7/1",
            "stray-bracket": b"redis://u[::1]:@r[:h",
            "no-slashes": b"redis:redis1]:6379",
        },
        "domain-xml": {
            "nova": nova,
            "socket": head + b"<graphics type='vnc' socket='/run/a'><listen type='socket' socket='/run/b'/></graphics>"
            b"</devices></domain>",
            "nowhere": head + b"<graphics type='vnc'><listen type='none'/></graphics></devices></domain>",
            "spice": head + b"<graphics type='spice' port='1'/><graphics type='vnc' port='-1'/></devices></domain>",
            "bomb": b"<!DOCTYPE d [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
            + head.replace(b"<name>n", b"<name>&b;")
            + b"</devices></domain>",
            "external": b"<!DOCTYPE d SYSTEM 'file:///etc/passwd'><domain/>",
            "encoding": b"<?xml version='1.0' encoding='utf-16'?>" + nova[:120],
        },
        "flagfile": {
            "quoted": b'a = " b "\nc = "\'d\'"\n',
            "section": b"--[vnc\n",
            "comment": b"a = b\n--#c = d\n",
            "continued": b"a = b\n--  --c = d\n",
            "nova.conf": b"[DEFAULT]\nmy_ip = 10.0.0.1\n[vnc]\nserver_listen = $my_ip\n# note\nlist = a\n  b\n",
            "mail": b"novncproxy_base_url=http://h:6080/vnc_auto.html\n--flag=a\n--nofoo\n--bar\n",
        },
        "htpasswd": {
            "users": b"# users\nadmin:" + hashed + b"\nuser:" + hashed + b":demo\n",
            "half": b"a:" + hashed + b":\n",
        },
        "option-types": {
            "network": b"10.0.0.0/8",
            "folder": b"/run/libvirt",
            "up": b"/run/../etc",
            "source": b"https://*.example.org:*",
            "path": b"https://a.example/x;",
        },
        "pem": {
            "certificate": b"-----BEGIN CERTIFICATE-----\nMIIBAA==\n-----END CERTIFICATE-----\n",
            "key": b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
            b"-----END PRIVATE KEY-----\n",
            "locked": b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
        },
    }


def records() -> dict[str, dict[str, bytes]]:
    """What a compute host publishes; the second UUID belongs to the second of two parts."""
    row = b"".join(directory.ROW)
    other = row.replace(b"11111111-2222", b"11111111-2223")

    def record(versions: str, *parts: bytes) -> bytes:
        head = json.dumps({"parts": versions.split(), "current": True}).encode()
        return b'{"head":%s,"parts":[%s]}' % (head, b",".join(parts))

    def part(version: bytes, *rows: bytes) -> bytes:
        return b'{"version":"%s","rows":[%s]}' % (version, b",".join(rows))

    return {
        "domain-record": {
            "one-part": record("a", part(b"a", row, other)),
            "two-parts": record("a b", part(b"a", row), part(b"b", other)),
            "another-part": record("a b", part(b"a", other), part(b"b", row)),
            "missing-part": record("a b", part(b"a", row)),
            "newer-part": record("a", part(b"b", row)),
            "twice": record("a", part(b"a", row, row.replace(b'"one"', b'"two"'))),
            "nested": record("a", part(b"a", row.replace(b'"project"', b"{}"))),
            "short-row": record("a", part(b"a", b"[]", row)),
            "no-rows": record("a", b'{"version":"a"}'),
            "further-field": record("a", b'{"version":"a","rows":[],"more":1}'),
            "129-parts": record("a " * 129),
            "no-head": b'{"head":{"parts":{}},"parts":[]}',
        }
    }


def sessions() -> dict[str, dict[str, bytes]]:
    """Whole sessions."""
    live = script(
        (FRAMED, PIXELS + shield.EVERYTHING), (UPSTREAM, update(0, 0, 2, 2)), (FRAMED, POINTER), (FRAMED, KEY)
    )
    password = script(
        (UPSTREAM, RFB), (UPSTREAM, b"\1\2"), (UPSTREAM, CHALLENGE), (UPSTREAM, b"\0\0\0\0"), (UPSTREAM, SERVER_INIT)
    )
    bye = script((CLIENT, b"\x88\x82\0\0\0\0\3\xe8"), (CLIENT_LEAVES, b""))
    return {
        "front": {
            "novnc": b"\0" + script((CLIENT, HEAD)) + LOGIN + OFFER + live + bye,
            "bare": b"\2" + script((CLIENT, HEAD)) + LOGIN + OFFER + live,
            "password": b"\0" + script((CLIENT, HEAD)) + password + OFFER + live,
            "xvp": b"\1" + script((CLIENT, CONNECT)) + LOGIN + OFFER + live,
            "idle": b"\0" + script((CLIENT, HEAD)) + LOGIN + OFFER + script((WAIT, b"\xff"), (WAIT, b"\xff")),
            "ahead": b"\0" + script((CLIENT, HEAD), (FRAMED, RFB + b"\1\1" + POINTER)) + LOGIN,
            "bad-token": b"\0" + script((CLIENT, HEAD.replace(b"1111-", b"1112-"))) + script((FRAMED, RFB)),
            "page": b"\0" + script((CLIENT, b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n")),
            "slow": b"\0" + script((CLIENT, b"GET /"), (WAIT, b"\x60")),
            "refused": b"\0" + script((CLIENT, HEAD), (UPSTREAM, RFB + b"\0\0\0\0\4full")) + script((FRAMED, RFB)),
            "unknown": b"\0"
            + script((CLIENT, HEAD))
            + LOGIN
            + OFFER
            + script((FRAMED, b"\7"), (CLIENT, b"\x88\x80\0\0\0\0")),
            "foreign": b"\0" + script((CLIENT, HEAD.replace(b"\r\n\r\n", b"\r\nOrigin: http://a\r\n\r\n"))),
        }
    }


def parts() -> list[tuple[str, dict[str, bytes]]]:
    """For each target its files: their names and contents."""
    return [item for part in (rfb(), streams(), wires(), messages(), records(), sessions()) for item in part.items()]


def main() -> None:
    """Write them; sealed replies, which differ each time, only if they are missing."""
    for name, files in parts():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for title, data in files.items():
            if title != "answer" or not (folder / title).exists():
                (folder / title).write_bytes(data)


if __name__ == "__main__":
    main()
