"""Messages from the bus: JSON, requests and sealed replies, connect_info; and transport_url."""

import json
import math
from functools import partial
from typing import Any
from unicodedata import category

from nacl.public import PrivateKey, SealedBox

from novnc_twisted.compute import replies
from novnc_twisted.contract import ConnectInfo, Console, Instance, fields
from novnc_twisted.errors import MAX_DETAIL, Refusal, ServiceUnavailable
from novnc_twisted.messaging.redis.messages import Request, read_reply, read_request, write_reply
from novnc_twisted.messaging.redis.sealing import Opener
from novnc_twisted.messaging.redis_url import parse_redis_url
from novnc_twisted.messaging.wire import check_key, check_topic, decode, encode, outcome

from .tools import Target, clean_text_of, fits_a_log, holds, same, text_of


class KnownOpener(Opener):
    """An opener with a fixed key, so that the corpus can contain replies for it."""

    def __init__(self) -> None:
        private = PrivateKey(b"fuzz" * 8)
        self._box = SealedBox(private)
        self.public_key = "tests only"


OPENER = KnownOpener()


def decoded(text: str | bytes) -> tuple[bool, Any]:
    """Whether it is JSON, and its value."""
    try:
        return True, decode(text)
    except ValueError as error:
        fits_a_log(str(error), 100, "the error")
        holds(error.__cause__ is None and (error.__context__ is None or error.__suppress_context__), "quotes the text")
        return False, None


def finite(value: Any) -> bool:
    """Whether JSON can represent all numbers in it."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(finite(one) for one in value.values())
    return all(finite(one) for one in value) if isinstance(value, list) else True


def run_json(data: bytes) -> None:
    """Any message: refused with ValueError, or a value that stays the same when it is sent on."""
    good, value = decoded(data)
    text = text_of(data)
    if good:
        same(decoded(text), (True, value), "the decoded text")
        holds(finite(value), "a number that JSON can't represent", value)
        same(decode(encode(value)), value, "what was sent on")
    try:
        result = outcome(data)
        holds(good and isinstance(value, dict) and "result" in value, "an invalid result", result)
    except Refusal as refusal:
        holds(len(refusal.detail) <= MAX_DETAIL, "a long detail")
        controls = [letter for letter in str(refusal) if category(letter) in ("Cc", "Cs", "Zl", "Zp")]
        holds(not controls, "control characters in a detail", controls)
    except ValueError as error:
        fits_a_log(str(error), 100, "the error")
    for check in (check_topic, check_key):
        try:
            same(check(text), text, "the name")
            holds(len(text) <= 512 and not any(one.isspace() for one in text), "an invalid name", text)
        except ValueError:
            pass
    for check in (fields.text, fields.port, fields.number, fields.count, fields.uuid, fields.token_hash):
        for given in (text, value):
            try:
                encode(fields.argument("field", given, fields.optional(check)))
            except ServiceUnavailable as refusal:
                fits_a_log(refusal.detail, 100, "the detail")


def run_request(data: bytes) -> None:
    """A call, as stored in Redis."""
    try:
        request = read_request(text_of(data))
    except ValueError as error:
        fits_a_log(str(error), 100, "the error")
        return
    same(read_request(request.encode()), request, "the request that was sent on")
    texts = (request.call_id, request.reply_to, request.public_key, request.method)
    holds(all(type(text) is str for text in texts), "a field that is not text", request)
    holds(type(request.gives_up) is int and type(request.arguments) is dict, "wrong types", request)
    try:
        reply = write_reply(request, "answer")
    except ValueError:
        return
    same(json.loads(reply)["id"], request.call_id, "the call of the reply")


def run_reply(data: bytes) -> None:
    """A reply, as stored in Redis: only one that was sealed for this call is accepted."""
    try:
        call_id, answer = read_reply(text_of(data), OPENER)
    except ValueError as error:
        fits_a_log(str(error), 100, "the error")
        return
    sealed = decode(text_of(data))["sealed"]
    same(OPENER.open(call_id, sealed), answer, "the answer")
    holds(" " not in call_id, "an invalid call", call_id)


def sealed_reply(call_id: str, answer: str) -> bytes:
    """A reply for the fixed opener; sealing makes it different each time."""
    from base64 import b64encode

    key = b64encode(bytes(PrivateKey(b"fuzz" * 8).public_key)).decode()
    return write_reply(Request(call_id, call_id, key, 0, "m", {}), answer).encode()


def run_connect_info(data: bytes) -> None:
    """The answer of check_token."""
    good, value = decoded(data)
    if not good:
        return
    try:
        info = ConnectInfo.from_wire(value)
    except ValueError as error:
        fits_a_log(str(error), 100, "the error")
        return
    holds(0 <= info.port <= 65535 and info.password is None, "a bad port or a password", info)
    same(ConnectInfo.from_wire(decode(encode(info.to_wire()))), info, "what was sent on")


UUID = "11111111-2222-3333-4444-555555555555"


def run_host(data: bytes) -> None:
    """The answer of a compute host: it concerns that host only, and an accepted one can be sent on and logged."""
    good, value = decoded(data)
    if not good:
        return
    for read in (replies.instance, replies.instances, partial(_console, UUID)):
        try:
            found = read("host1", value)
        except ServiceUnavailable as refusal:
            fits_a_log(refusal.detail, 150, "the detail")
            continue
        for record in found if isinstance(found, list) else [found]:
            same(type(record).from_wire(decode(encode(record.to_wire())), **_local(record)), record, "what was sent on")
            one = record.to_wire() if isinstance(record, Instance) else record.connect_info.to_wire()
            same(one.get("compute_host", getattr(record, "host", None)), "host1", "the host")
            holds(all(text.isprintable() for text in one.values() if isinstance(text, str)), "unprintable", one)
            holds(all(0 <= number < 10**12 for number in one.values() if type(number) is int), "a bad number", one)


def _console(instance_uuid: str, host: str, answer: Any) -> Console:
    found = replies.console(host, instance_uuid, answer)
    info = found.connect_info
    same((info.instance_uuid, info.user_id, info.project_id), (instance_uuid, None, None), "the VM or owner")
    return found


def _local(record: Instance | Console) -> dict[str, str]:
    return {"host": record.host} if isinstance(record, Instance) else {}


SECRET = "s3cr3t-Pa55"


def run_url(data: bytes) -> None:
    """A transport_url, also with a password before ``@``; no error and no label shows it."""
    for text in (clean_text_of(data), clean_text_of(data).replace("@", f":{SECRET}@", 1)):
        try:
            url = parse_redis_url(text)
        except ValueError as error:
            fits_a_log(str(error), 400, "the error")
            holds(SECRET not in str(error), "shows the password", error)
            continue
        holds(0 < url.port < 65536 and 0 <= url.db < 100_000, "a bad port or db", url)
        holds(url.host or url.path or url.sentinels, "no server", url)
        elsewhere = (url.host, url.path, url.service, url.ca, url.cert, url.key, url.server_name, url.username)
        if not any(SECRET in one for one in elsewhere if one):
            holds(SECRET not in url.label and SECRET not in repr(url), "shows the password", url)
        if not url.sentinels and url.path is None and url.ca is None and url.cert is None and url.server_name is None:
            again = parse_redis_url(url.label)
            same((again.host, again.port, again.db, again.tls), (url.host, url.port, url.db, url.tls), "the label")


REQUEST = (
    b'{"id":"0123456789abcdef0123456789abcdef"',
    b',"to":"0123456789abcdef0123456789abcdef"',
    b',"key":"B0H1OVkfb5t2KdY8Tv7oFjL1fLkJ2r0Jx8tVtq3nXg0="',
    b',"until":1',
    b',"method":"check_token"',
    b',"arguments":{"token_hash":"' + b"0" * 64 + b'"}}',
)
_HOST = (
    b'{"instances":[{"uuid":"11111111-2222-3333-4444-555555555555"',
    b',"name":"one","state":"running"',
    b',"power_state":1,"vcpus":1,"memory_mb":512',
    b',"project_id":"","created":null,"host":"host2"',
    b"}",
    b"]}",
    b'{"token":"t","access_url":"http://h/","connect_info":{"console_type":"novnc","host":"h","port":5900',
)
_INFO = (
    b'{"host":"192.0.2.1","port":5900',
    b',"socket":null',
    b',"name":"myserver20"',
    b',"expires_at":1e9',
    b',"reconnects":true',
    b',"console_type":"novnc"',
    b"}",
)

TARGETS = (
    Target(
        "json",
        run_json,
        256,
        (b'{"result":', b'{"error":"InvalidToken","detail":"', b"NaN", b"1e999", b"[", b"\\ud800", b'"', b"-0.0", b"}"),
    ),
    Target("bus-request", run_request, 512, REQUEST),
    Target("bus-reply", run_reply, 512, (b'{"id":"', b'","sealed":"', b'"}')),
    Target("host-answer", run_host, 512, _HOST),
    Target("connect-info", run_connect_info, 384, _INFO),
    Target(
        "redis-url",
        run_url,
        192,
        (
            b"redis://",
            b"rediss://",
            b"redis+unix://",
            b"redis+sentinel://",
            b"u@",
            b"@",
            b"h",
            b"[::1]",
            b":6379",
            b"/1",
            b"/service",
            b"?db=2",
            b"&tls=true",
            b"&ca=/ca.pem",
            b",",
            b"%2F",
            b"/run/r.sock",
        ),
    ),
)
