"""Makes the transport for a ``transport_url``."""

import re
from importlib.util import find_spec
from typing import Any

from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.redis_url import parse_redis_url

_OSLO = ("rabbit", "amqp", "amqps", "kombu", "kombu+memory", "kafka", "pika", "qpid", "zmq", "fake", "http", "https")
_OURS = "memory://, redis://, rediss://, redis+unix:// or redis+sentinel://"


def is_oslo_url(url: str) -> bool:
    """Return whether a URL is for a message bus of oslo.messaging, like the ``transport_url`` of nova."""
    scheme, found, _ = url.partition("://")
    return bool(found) and scheme in _OSLO


def transport_from_url(reactor: Any, url: str, role: str = "") -> ITransport:
    """Make the transport for a URL; it is not started yet.

    :param reactor: IReactorTime for ``memory://``; a whole reactor for the others.
    :param url: has one of these forms.  Percent-escapes are decoded, but not in a host, and not in ``/db``.

        * ``memory://``
        * ``redis://[user:password@]host[:port][/db]``
        * ``rediss://``: like ``redis://``, but over TLS; the server's certificate is verified.  Query parameters:
          ``ca``, ``cert``, ``key`` (PEM files) and ``server_name``.
        * ``redis+unix://[user:password@]/path/to.sock[?db=N]``
        * ``redis+sentinel://[user:password@]host[:port],.../service[?db=N&tls=true&...]``.  The further query
          parameters are those of ``rediss://``.

    :param role: the role of this process, one of ``novnc_twisted.contract.ROLES``.  Services may refuse calls by some
        roles.  Empty: the process has no role, and services refuse none of its calls.  ``memory://`` ignores the role.
    :raises ValueError: the URL is invalid, a file that the URL names cannot be used, ``server_name`` is invalid, the
        role is unknown, or the extra ``[redis]`` is not installed.  The text is one sentence for the user, without the
        password.
    """
    scheme, found, rest = url.partition("://")
    if scheme == "memory" and found:
        if rest.strip("/"):
            raise ValueError("transport_url: nothing may follow memory://")
        from novnc_twisted.messaging.memory import MemoryTransport

        return MemoryTransport(reactor)
    if scheme in ("redis", "rediss", "redis+unix", "redis+sentinel") and found:
        address = parse_redis_url(url)
        missing = [name for name in ("txredisapi", "hiredis", "nacl") if find_spec(name) is None]
        if missing:
            raise ValueError(
                f"transport_url: {scheme}:// needs the extra [redis] ({', '.join(missing)} is missing): "
                "pip install 'novnc-twisted[redis]'"
            )
        # Imported only here: RedisTransport's module imports txredisapi, which installs the global reactor.
        from novnc_twisted.messaging.redis.transport import RedisTransport

        return RedisTransport(reactor, address, role)
    if is_oslo_url(url):
        raise ValueError(
            f"transport_url: {scheme}:// is a bus of oslo.messaging, which is not supported here; "
            f"set transport_url to {_OURS} in a further file, and pass this file as the last --config-file"
        )
    # In a malformed URL, the text before "://" may contain a password, so show only a valid scheme.
    shown = f"{scheme}://" if found and re.fullmatch(r"[a-z][a-z0-9+.-]{0,31}", scheme) else "the form of its value"
    raise ValueError(f"transport_url: {shown} is not known; set transport_url to {_OURS}")
