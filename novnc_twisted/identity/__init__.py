"""Who a caller is: the user file, passwords, tokens of the small identity service, and the lock-out of guessers."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Caller": "users",
        "Lockout": "lockout",
        "LockoutSettings": "lockout",
        "Passwords": "passwords",
        "Tokens": "tokens",
        "TooManyLogIns": "passwords",
        "User": "users",
        "UserFile": "htpasswd",
    },
)
