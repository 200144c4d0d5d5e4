"""Token plug-ins: addresses, paths below a folder, JWTs."""

import atexit
import base64
import hmac
import json
import math
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from novnc_twisted.access.hosts import host_name, is_ip
from novnc_twisted.errors import InvalidToken
from novnc_twisted.token_plugins import JWTTokenApi, TokenFileName, UnixDomainSocketDirectory
from novnc_twisted.token_plugins import Target as Place
from novnc_twisted.token_plugins.source_fields import source_fields
from novnc_twisted.token_plugins.target import parse_target
from novnc_twisted.token_plugins.token_redis import _target, redis_source

from .tools import Target, fits_a_log, holds, same, text_of

NOW = 1_000_000
SECRET = b"0123456789abcdef" * 4  # 64 bytes, as HS512 needs
OUTSIDE = 9
"""The port in the files outside the folder, which no token may reach."""

_plugins: list[Any] = []


def plugins() -> list[Any]:
    """A plug-in of each kind, with a secret file and a secret socket next to its folder."""
    if not _plugins:
        base = Path(tempfile.mkdtemp(prefix="fuzz-plugins"))
        atexit.register(shutil.rmtree, base, ignore_errors=True)
        inside = base / "in"
        (inside / "sub").mkdir(parents=True)
        (base / "in-other").mkdir()
        for path, text in (
            (inside / "vm1", "h:1"),
            (base / "secret", f"h:{OUTSIDE}"),
            (base / "in-other" / "x", "h:9"),
        ):
            path.write_text(text)
        for path in (inside / "a.sock", inside / "sub" / "b", base / "s", base / "in-other" / "s"):
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        (inside / "link").symlink_to(base / "secret")
        (inside / "up").symlink_to(base)
        key = base / "key"
        key.write_bytes(base64.urlsafe_b64encode(SECRET))
        _plugins.extend(
            (
                TokenFileName(str(inside)),
                UnixDomainSocketDirectory(str(inside)),
                JWTTokenApi(str(key), now=lambda: NOW),
            )
        )
    return _plugins


def look_up(plugin: Any, token: str) -> Place | None:
    """Run the coroutine, which waits for nothing; None if the token is refused."""
    try:
        plugin.look_up(token).send(None)
    except StopIteration as found:
        holds(isinstance(found.value, Place), "no target", found.value)
        return found.value  # type: ignore[no-any-return]
    except InvalidToken as error:
        fits_a_log(error.detail, 200, "the detail")
    return None


def run_target(data: bytes) -> None:
    """A text as an address, a value in Redis, and the source of TokenRedis."""
    text = text_of(data)
    for parse in (parse_target, _target):
        try:
            found = parse(text)
        except ValueError as error:
            if not isinstance(error, json.JSONDecodeError):
                holds(not text or len(text) < 9 or text not in str(error), "the error quotes it", str(error))
            continue
        except (AttributeError, RecursionError):  # JSON that is not an object; token_redis refuses it
            continue
        if found.socket is not None:
            holds(found.socket.startswith("/") and "\0" not in found.socket, "no absolute path", found)
            continue
        holds(0 < found.port < 65536, "no port", found)
        if not is_ip(found.host):
            host_name(found.host)
        same(parse_target(f"[{found.host}]:{found.port}").host, found.host, "the host")
    fields = source_fields(text)
    if '"' not in text:
        same(fields, text.split(":"), "the fields")
    try:
        redis_source(text)
    except ValueError as error:
        holds(len(text) < 9 or text not in str(error), "the error quotes it", str(error))


def run_path(data: bytes) -> None:
    """A token as a path: nothing outside of the folder is reached."""
    name, sockets, _ = plugins()
    token = text_of(data)
    found = look_up(name, token)
    holds(found is None or found.port != OUTSIDE, "a file outside", token)
    found = look_up(sockets, token)
    if found is not None:
        folder = Path(sockets.directories[0])
        path = Path(found.socket or "")
        holds(path.parent.resolve() == path.parent and path.is_relative_to(folder), "a socket outside", token)


def run_jwt(data: bytes) -> None:
    """A token as a JWT: only one that has a valid signature and has not expired is accepted."""
    token = text_of(data)
    found = look_up(plugins()[2], token)
    if found is None:
        return
    holds(found.expires_at is not None and NOW < found.expires_at < math.inf, "an invalid expiry", found)
    signed, _, signature = token.rpartition(".")
    wanted = [hmac.digest(SECRET, signed.encode(), name) for name in ("sha256", "sha384", "sha512")]
    holds(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)) in wanted, "a wrong signature", token)


def jwt(claims: object, algorithm: str = "HS256", secret: bytes = SECRET) -> bytes:
    parts = [json.dumps({"alg": algorithm}).encode(), json.dumps(claims).encode()]
    head = b".".join(_encoded(part) for part in parts)
    return head + b"." + _encoded(hmac.digest(secret, head, f"sha{algorithm[2:]}"))


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


TARGETS = (
    Target(
        "token-target",
        run_target,
        512,
        (b"host:", b":5900", b"[2001:db8::1]", b"unix_socket:/", b'{"host": "', b'"}', b'"', b"redis://", b"@", b"#"),
    ),
    Target(
        "token-path", run_path, 256, (b"../", b"/", b"vm1", b"a.sock", b"sub/", b"up/", b"link", b"\0", b"in-other/")
    ),
    Target("token-jwt", run_jwt, 2048, (b".", b"eyJhbGciOiJIUzI1NiJ9", b"eyJhbGciOiJub25lIn0", b"eyJob3N0", b"=")),
)
