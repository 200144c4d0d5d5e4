"""That the harness can fail: bugs are planted in the parsers, one at a time, and each is found.

By the corpus alone, so that no luck is needed.  What fuzzing itself finds of them is in docs/fuzzing.rst.
"""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from types import FunctionType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.stretch import in_time
from tests.fuzz.table import corpus, targets

RFB, ACCESS = "novnc_twisted.rfb", "novnc_twisted.access"
MUTANTS: tuple[tuple[str, str, str, str, str], ...] = (
    # target, module, what stands there, what is put in its place, the advisory or the mistake
    ("rfb-login", f"{RFB}.login", "(0 < width", "(0 <= width", "an empty screen"),
    ("rfb-login", f"{RFB}.login", "min(length, MAX_REASON)", "length", "a reason of 4 GiB"),
    ("rfb-login", f"{RFB}.login", "printable(reason)", "reason.decode('latin-1')", "a line of the log broken"),
    (
        "rfb-login",
        f"{RFB}.login",
        "for scheme in schemes.values() if scheme[0] in offered",
        "for number in offered for scheme in schemes.values() if scheme[0] == number",
        "the server's order: a downgrade",
    ),
    ("rfb-login", f"{RFB}.talk", "if self._need is None and len(self._received) > self._limit", "if False", "a flood"),
    ("rfb-vencrypt", f"{RFB}.talk", "case StartTLS() if self._received:", "case StartTLS() if False:", "injected"),
    ("rfb-offer", f"{RFB}.offer", "if choice != SecurityType.NONE", "if choice == SecurityType.VNC", "CVE-2006-2369"),
    ("rfb-refuse", f"{RFB}.offer", '_COUNTS_AS_3_3 = (VERSION_3_3, b"RFB 003.005\\n")', "_COUNTS_AS_3_3 = ()", "3.3"),
    ("shield", f"{RFB}.shield", "if at > end:  # the last one is not whole", "if False:", "half a message passes"),
    ("shield", f"{RFB}.shield", "if self._stream.unused_data:", "if False:", "CVE-2023-3255"),
    ("shield", f"{RFB}.shield", "or [Encoding.RAW]", "", "CVE-2008-2382"),
    ("shield", f"{RFB}.shield", "good = good and bits == 8", "pass", "a map of 2^32 colours"),
    ("shield", f"{RFB}.client_messages", "length = head[8]", "length = head[7]", "a fence of another length"),
    ("frames", "novnc_twisted.relay.frames", "turn = len(part) & 3", "turn = 0", "the mask is not turned"),
    (
        "frames",
        "novnc_twisted.relay.frames",
        "if length < 126 or (wide == 8 and length < 65536):",
        "if False:",
        "lengths",
    ),
    ("http-request", f"{ACCESS}.request_head", "max(0, seen - 3)", "seen", "an end that is cut"),
    (
        "http-request",
        f"{ACCESS}.request_head",
        "_CONTROL)) < len(head)",
        "_CONTROL)) > len(head)",
        "control characters",
    ),
    ("http-upgrade", "novnc_twisted.novncproxy.handshake", "!= [VERSION]", "== []", "another version"),
    ("access-path", "novnc_twisted.session.access_path", "line.put_back(buffer.rest)", "pass", "RFB is lost"),
    ("access-path", "novnc_twisted.session.access_path", "if status != 200:", "if status > 299:", "any of 2xx"),
    ("proxy-protocol", f"{ACCESS}.proxy_protocol", "and int(word) <= 0xFFFF", "", "a port of 99999"),
    (
        "proxy-protocol",
        f"{ACCESS}.proxy_protocol",
        "if payload < least:",
        "if payload + 1 < least:",
        "a byte is missing",
    ),
    ("origin", f"{ACCESS}.origin", "_ORIGIN.fullmatch(", "_ORIGIN.match(", "http://localhost.evil"),
    (
        "forwarded",
        f"{ACCESS}.forwarded",
        "while hops and is_trusted(peer, trusted):",
        "while hops:",
        "anybody is believed",
    ),
    ("token", f"{ACCESS}.tokens", "%(?:25)*{ord(letter):x}", "nothing", "an escaped letter"),
    ("page", "novnc_twisted.novncproxy.page", "not real.is_relative_to(self._folder) or", "", "another folder"),
    ("json", "novnc_twisted.messaging.wire", "if math.isinf(number):", "if False:", "1e999"),
    ("bus-request", "novnc_twisted.messaging.redis.messages", "type(until) is not int or", "", "no number"),
    (
        "bus-reply",
        "novnc_twisted.messaging.redis.messages",
        "isinstance(call_id, str) and isinstance(sealed, str)",
        "call_id",
        "no text",
    ),
    (
        "host-answer",
        "novnc_twisted.compute.answers",
        'is True, "host": host}',
        'is True, "host": values.get("host")}',
        "another's host",
    ),
    ("connect-info", f"{ACCESS}.connect_info", "<= 65535:", "<= 65536:", "a port too many"),
    (
        "redis-reply",
        "novnc_twisted.messaging.redis.protocol",
        "except txredisapi.InvalidData:",
        "except KeyError:",
        "what is no RESP",
    ),
    (
        "redis-url",
        "novnc_twisted.messaging.redis_url",
        'or not _HOST.match(parts.netloc.rpartition("@")[2])',
        "",
        "a bracket in a host",
    ),
    ("domain-xml", "novnc_twisted.compute.domain_xml", "forbid_dtd=True", "forbid_entities=False", "entities"),
    ("flagfile", "novnc_twisted.service.flagfile", 'or name[0] in "-[#;"', "", "a section as a name"),
    ("htpasswd", "novnc_twisted.api.htpasswd", 'if project == "" or', "if", "half a line is an admin"),
    ("option-types", "novnc_twisted.service.option_types", 'or ".." in path.parts', "", "leads elsewhere"),
    ("api-json", "novnc_twisted.api.request", "> MAX_DEPTH:", "> MAX_DEPTH + 1:", "one level more"),
    ("api-target", "novnc_twisted.api.microversion", "<= MAXIMUM:", "<= Version(3, 0):", "a version not served"),
)


def plant(test: SynchronousTestCase, module: str, old: str, new: str) -> None:
    """Change one thing of a module, in place, until the test is over.

    Whoever imported its functions and classes has the bug, too: it is their code that is exchanged.
    """
    original = import_module(module)
    source = inspect.getsource(original)
    if source.count(old) != 1:
        raise LookupError(f"the bug does not fit any more: {module} has {source.count(old)} times {old}")
    names: dict[str, Any] = {
        "__name__": module,
        "__package__": module.rpartition(".")[0],
        "__file__": original.__file__,
    }
    exec(compile(source.replace(old, new), f"{module} with a bug", "exec"), names)
    for name, value in names.items():
        mine = vars(original).get(name)
        if isinstance(value, (FunctionType, type)) and getattr(value, "__module__", "") == module:
            for one, other in zip(codes(mine), codes(value), strict=True):
                test.patch(one, "__code__", other.__code__)
        elif isinstance(value, (str, bytes, int, tuple, frozenset, re.Pattern)) and value != mine:
            test.patch(original, name, value)


def codes(value: Any) -> list[FunctionType]:
    """The functions of which something consists, in their order."""
    if isinstance(value, FunctionType):
        return [value]
    if isinstance(value, (classmethod, staticmethod)):
        return codes(value.__func__)
    if isinstance(value, property):
        return [function for part in (value.fget, value.fset) for function in codes(part)]
    if isinstance(value, type) and value.__module__.startswith("novnc_twisted"):
        return [function for name in sorted(vars(value)) for function in codes(vars(value)[name])]
    return []


class MutantTests(SynchronousTestCase):
    """One test for each planted bug; made below."""

    def found(self, name: str) -> bool:
        """Whether the corpus finds that something is wrong with a target."""
        target = targets()[name]
        try:
            for data in corpus(name):
                in_time(target.run, data)
        except Exception:
            return True
        return False


def _found(name: str, module: str, old: str, new: str) -> Callable[[MutantTests], None]:
    def test(self: MutantTests) -> None:
        plant(self, module, old, new)
        self.assertTrue(self.found(name), f"nobody noticed: {new} in {module}")

    return test


for _number, (_name, _module, _old, _new, _what) in enumerate(MUTANTS, 1):
    _title = re.sub("[^a-z0-9]+", "_", f"{_name} {_what}".lower())
    setattr(MutantTests, f"test_{_number:02}_{_title}", _found(_name, _module, _old, _new))
