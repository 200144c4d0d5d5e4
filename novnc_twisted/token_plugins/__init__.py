"""websockify's token plug-ins.  They replace consoleauth: they check tokens by files, JWTs, Redis or an HTTP API."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "BaseTokenAPI": "token_api",
        "ITokenPlugin": "interfaces",
        "JSONTokenApi": "token_api",
        "NAMES": "names",
        "ReadOnlyTokenFile": "token_file",
        "Target": "target",
        "TokenFile": "token_file",
        "TokenFileName": "token_file_name",
        "TokenPluginAuthority": "authority",
        "TokenRedis": "token_redis",
        "JWTTokenApi": "jwt",
        "UnixDomainSocketDirectory": "socket_directory",
        "make_plugin": "names",
    },
)
