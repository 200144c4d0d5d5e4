"""The audit trail: one JSON object for each event about a token, a session or a server, in a file or to syslog."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "AuditFile": "file",
        "AuditTrail": "trail",
        "CODES": "entries",
        "Entry": "entries",
        "Syslog": "syslog",
    },
)
