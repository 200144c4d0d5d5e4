"""Makes token plug-ins.  They have the names of websockify's plug-ins."""

from typing import Any, Final

from novnc_twisted.token_plugins.interfaces import ITokenPlugin

NAMES: Final = (
    "TokenFile",
    "ReadOnlyTokenFile",
    "TokenFileName",
    "UnixDomainSocketDirectory",
    "JWTTokenApi",
    "TokenRedis",
    "JSONTokenApi",
    "BaseTokenAPI",
)


def make_plugin(reactor: Any, name: str, source: str, *, token_ttl: float = 600) -> ITokenPlugin:
    """Make a plug-in.

    :param name: one of :data:`NAMES`.
    :param source: a path, or the address of a Redis server or an HTTP API.
    :param token_ttl: seconds for which a JWT without ``exp`` is valid after its ``iat``.
    :raises ValueError: the name is unknown, the source cannot be used, or a needed extra of this package is not
        installed.  The error is one sentence, and does not contain a password.
    :raises OSError: the folder of ``TokenFileName`` or ``UnixDomainSocketDirectory`` cannot be examined, for example
        because permission is missing.
    """
    if name == "JWTTokenApi":
        from novnc_twisted.token_plugins.jwt import JWTTokenApi

        return JWTTokenApi(source, token_ttl=token_ttl)
    if name == "TokenRedis":
        from novnc_twisted.token_plugins.token_redis import TokenRedis

        return TokenRedis(reactor, source)
    if name in ("JSONTokenApi", "BaseTokenAPI"):
        from novnc_twisted.token_plugins import token_api

        api: ITokenPlugin = getattr(token_api, name)(reactor, source)
        return api
    if name not in NAMES:
        raise ValueError(f"{name} is not a token plug-in; there are {', '.join(NAMES)}")
    import novnc_twisted.token_plugins as plugins

    plugin: ITokenPlugin = getattr(plugins, name)(source)
    return plugin
