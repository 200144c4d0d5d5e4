"""Token plug-ins of websockify as authorities: their files, folders, JWTs and Redis keys, without their pitfalls."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ITokenPlugin": "interfaces",
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
