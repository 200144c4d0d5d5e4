"""Token plug-ins, named like those of websockify.  A proxy that checks tokens with a plug-in needs no consoleauth.

A plug-in finds the VNC server of a token in files, in a folder of sockets, in the token itself (JWT), in Redis, or by
asking an HTTP API.
"""

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
