"""Make the part of the corpus that comes from real sessions: ``python -m tests.fuzz.seeds``.

Handshakes of QEMU, TigerVNC, noVNC and the Java viewer, heads of browsers and proxies, XML of libvirt, requests of
OpenStack's clients.  Inputs that fuzzing added are named by hashes.
"""

import json

from tests.support.vnc_server import update

from . import bus, directory, shield
from .fronts import CLIENT, CLIENT_LEAVES, CONNECT, FRAMED, HEAD, LOGIN, OFFER, SERVER_INIT, UPSTREAM, WAIT, script
from .http_seeds import wires
from .page_seeds import pages
from .rfb_seeds import rfb, streams
from .seed_bytes import CHALLENGE, KEY, PIXELS, POINTER, RFB, UUID
from .table import CORPUS


def messages() -> dict[str, dict[str, bytes]]:
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
    """Each target, with the names and contents of its files."""
    return [
        item
        for part in (rfb(), streams(), wires(), messages(), records(), sessions(), pages())
        for item in part.items()
    ]


def main() -> None:
    """Write the files; sealed replies, which differ each time, only if they are missing."""
    for name, files in parts():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for title, data in files.items():
            if title != "answer" or not (folder / title).exists():
                (folder / title).write_bytes(data)


if __name__ == "__main__":
    main()
