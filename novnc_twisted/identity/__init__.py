"""Finds the caller of a request.

This package contains the authentication strategies, the user file, this program's own small identity service with its
tokens, and the lock-out after failed log-ins.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Caller": "users",
        "HTTPBasic": "http_basic",
        "IAuth": "strategy",
        "IdentityAPI": "v3",
        "Lockout": "lockout",
        "KeystoneUsers": "keystone.users",
        "LockoutSettings": "lockout",
        "NoAuth": "noauth",
        "Passwords": "passwords",
        "Tokens": "tokens",
        "Roles": "keystone.token",
        "TooManyLogIns": "passwords",
        "User": "users",
        "UserFile": "htpasswd",
    },
)
