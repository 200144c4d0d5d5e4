"""Parses ``redis://`` URLs and their variants, without connecting."""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from novnc_twisted.access.hosts import host_name, is_ip

_TLS = ("ca", "cert", "key", "server_name")
_PARAMETERS = {"redis": (), "rediss": _TLS, "redis+unix": ("db",), "redis+sentinel": ("db", "tls", *_TLS)}
# Three groups: an address that was in brackets, a host without brackets, the port.
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[0-9A-Za-z._~-]+)?)\]|([^\[\]:@/%]+))(?::([0-9]{1,5}))?\Z")
_FORMS = {
    "redis": "redis://[user:password@]host[:port][/db]",
    "rediss": "rediss://[user:password@]host[:port][/db][?ca=FILE&cert=FILE&key=FILE&server_name=NAME]",
    "redis+unix": "redis+unix://[user:password@]/path/to.sock[?db=N]",
    "redis+sentinel": "redis+sentinel://[user:password@]host[:port][,host[:port]...]/service[?db=N][&tls=true&ca=FILE...]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisURL:
    """The address of a Redis or Valkey, and how to log in.

    :ivar path: the path of the server's unix socket; if it is set, host and port are unused.
    :ivar username: the ACL user; None for the default user.
    :ivar password: the password, or None.
    :ivar tls: whether to use TLS, which always verifies the server's certificate.
    :ivar ca: the file of trusted authorities (PEM); None to trust the authorities that the system trusts.
    :ivar cert: the file of our own certificate (PEM); None to send no certificate.
    :ivar key: the file of our certificate's private key (PEM); None if the key is in ``cert``.
    :ivar server_name: the name that the certificate of each Sentinel or Redis server must have; None: the host to
        which the connection is made.
    :ivar sentinels: the hosts and ports of the Sentinels; if there are any, host and port are unused.
    :ivar service: the name of the primary in the Sentinels' configuration.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""

    @property
    def label(self) -> str:
        """The address for the log, without user, password and files."""
        if self.path is not None:
            return f"redis+unix://{self.path}?db={self.db}"
        if self.sentinels:
            hosts = ",".join(f"{_bracketed(host)}:{port}" for host, port in self.sentinels)
            return f"redis+sentinel://{hosts}/{self.service}?db={self.db}"
        return f"{'rediss' if self.tls else 'redis'}://{_bracketed(self.host)}:{self.port}/{self.db}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def parse_redis_url(url: str) -> RedisURL:
    """Parse a ``redis://``, ``rediss://``, ``redis+unix://`` or ``redis+sentinel://`` URL.

    Percent-escapes are decoded in the user, the password, the socket's path, the service and the query.

    :raises ValueError: the URL is invalid.  The text is one sentence, and contains neither the user nor the password.
    """
    scheme = url.partition("://")[0]
    parts, port = _split(url)
    if (
        parts is None
        or parts.scheme != scheme
        or scheme not in _FORMS
        or parts.fragment
        or re.search(r"[\x00-\x20\x7f]", url)
    ):
        form = _FORMS.get(scheme, _FORMS["redis"])
        # The URL is not quoted: it contains the password.
        raise ValueError(
            f"transport_url is not of the form {form} (escape special characters in the password, such as / as %2F)"
        )
    form = _FORMS[parts.scheme]
    query = _query(parts.query, _PARAMETERS[scheme], form)
    userinfo = parts.netloc.rpartition("@")[0]
    name, _, password = userinfo.partition(":")
    username = unquote(name) or None
    # For a user without a password, send an empty one: AUTH needs a password, and for an ACL user with nopass, Redis
    # accepts any.  Without a user, an empty password is ignored (``redis://:@host``).
    secret = unquote(password) if password or name else None
    if scheme == "redis+unix":
        return _unix(parts, port, form, query, username, secret)
    if query.get("key") and not query.get("cert"):
        raise ValueError("transport_url has key but no cert; add cert, or leave out key")
    if scheme == "redis+sentinel":
        return _sentinels(parts, form, query, username, secret)
    return _server(parts, port, form, query, username, secret)


def _unix(
    parts: SplitResult, port: int | None, form: str, query: dict[str, str], username: str | None, secret: str | None
) -> RedisURL:
    path = unquote(parts.path)
    if parts.hostname or port is not None or not path.strip("/") or path.endswith("/") or "\0" in path:
        raise ValueError(f"transport_url is not of the form {form} (an absolute path)")
    return RedisURL(path=path, db=_db(query.get("db", "0"), form), username=username, password=secret)


def _server(
    parts: SplitResult, port: int | None, form: str, query: dict[str, str], username: str | None, secret: str | None
) -> RedisURL:
    # urlsplit accepts stray brackets, and ``hostname`` leaves them out.  So check the text from which urlsplit read
    # ``hostname``.
    found = _HOST.match(parts.netloc.rpartition("@")[2])
    if not parts.hostname or port == 0 or found is None or not _is_host(found):
        raise ValueError(f"transport_url is not of the form {form} (the host is missing or invalid, or the port is 0)")
    return RedisURL(
        host=parts.hostname,
        port=port or 6379,
        db=_db(parts.path.removeprefix("/") or "0", form),
        tls=parts.scheme == "rediss",
        username=username,
        password=secret,
        ca=query.get("ca"),
        cert=query.get("cert"),
        key=query.get("key"),
        server_name=query.get("server_name"),
    )


def _sentinels(
    parts: SplitResult, form: str, query: dict[str, str], username: str | None, secret: str | None
) -> RedisURL:
    found = [_HOST.match(one) for one in parts.netloc.rpartition("@")[2].split(",")]
    sentinels = [(one[1] or one[2], int(one[3] or 26379)) for one in found if one]
    service = unquote(parts.path.removeprefix("/"))
    if (
        len(sentinels) < len(found)
        or not all(one and _is_host(one) for one in found)
        or not all(0 < port < 65536 for _, port in sentinels)
    ):
        raise ValueError(f"transport_url is not of the form {form} (a bad host or port)")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", service):
        raise ValueError(
            f"transport_url is not of the form {form} (the service is missing, or has other characters than letters, "
            "digits, '.', '_' and '-')"
        )
    tls = query.get("tls", "true" if set(query) & set(_TLS) else "false")
    if tls not in ("true", "false") or (tls == "false" and set(query) & set(_TLS)):
        raise ValueError(
            f"transport_url is not of the form {form} (tls is true or false; false does not go with {', '.join(_TLS)})"
        )
    return RedisURL(
        sentinels=tuple(sentinels),
        service=service,
        db=_db(query.get("db", "0"), form),
        username=username,
        password=secret,
        tls=tls == "true",
        ca=query.get("ca"),
        cert=query.get("cert"),
        key=query.get("key"),
        server_name=query.get("server_name"),
    )


def _is_host(found: re.Match[str]) -> bool:
    """Return whether a host is valid: an IPv6 address in brackets, or a host name or IPv4 address without brackets."""
    if found[1] is not None:
        return is_ip(found[1]) and ":" in found[1]
    try:
        host_name(found[2])
    except ValueError:
        return False
    return True


def _split(url: str) -> tuple[SplitResult | None, int | None]:
    # The errors of urlsplit may quote a part of the password, so return None instead of raising them.
    try:
        parts = urlsplit(url)
        # A Sentinel URL lists several hosts with ports, for which ``parts.port`` would raise an error.
        return parts, None if parts.scheme == "redis+sentinel" else parts.port
    except ValueError:
        return None, None


def _query(query: str, known: tuple[str, ...], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    # parse_qsl() reads "+" as a space, as in HTML forms.  Here "+" is a plus sign, as in the other parts of the URL.
    for name, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
        if name not in known or name in found or not value:
            what = "an empty" if name in known and not value else "an unknown or repeated"
            shown = name if re.fullmatch(r"[a-z_]{1,32}", name) else "?"
            raise ValueError(f"transport_url has {what} parameter {shown}; its form is {form}")
        found[name] = value
    return found


def _db(text: str, form: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise ValueError(f"transport_url is not of the form {form} (db is a number)")
    return int(text)
