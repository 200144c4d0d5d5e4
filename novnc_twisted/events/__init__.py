"""What an operator wants to know: events, the observers that receive them, and the log as the first observer.

The proxies, the sessions, consoleauth and the API call one :data:`Observer` with an event.  They do not know whether a
log, metrics or an audit trail is behind it.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Event": "records",
        "EventLog": "log",
        "FrameBlocked": "records",
        "Observer": "records",
        "Observers": "observers",
        "PowerAction": "records",
        "RefusalCause": "records",
        "RefusalLog": "refusal_log",
        "RequestRefused": "records",
        "ScreenshotTaken": "records",
        "SessionChanged": "records",
        "SessionClosed": "records",
        "SessionOpened": "records",
        "TokenMade": "records",
        "TokenRefused": "records",
        "TokenRevoked": "records",
        "TokenUsed": "records",
    },
)
