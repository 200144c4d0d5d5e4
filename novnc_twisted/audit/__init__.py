"""The audit trail: writes a JSON object for each event about a token, session or server, to a file, syslog or both."""

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
