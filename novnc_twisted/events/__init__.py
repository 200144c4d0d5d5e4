"""Events for operators, and their observers.  The log is one observer.

The proxies, the sessions, consoleauth and the API call one :data:`Observer` with each event.  They do not know whether
it writes a log, metrics or an audit trail.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "APITokenChanged": "records",
        "ConsoleShared": "records",
        "ControlChanged": "records",
        "Event": "records",
        "EventLog": "log",
        "FrameBlocked": "refused",
        "Observer": "records",
        "Observers": "observers",
        "KeysSent": "records",
        "PowerAction": "records",
        "RefusalCause": "refused",
        "RefusalLog": "refusal_log",
        "RequestRefused": "refused",
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
