"""The contract between the services: records, topics, methods, and the roles that may call them.  No I/O."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Admission": "admission",
        "CONSOLE_TYPES": "connect_info",
        "ConnectInfo": "connect_info",
        "Console": "console",
        "EndedSession": "ended_session",
        "HistoryQuery": "history_query",
        "Instance": "instance",
        "Person": "person",
        "Place": "place",
        "ROLES": "roles",
        "PowerReply": "power",
        "Record": "record",
        "Revocation": "revocation",
        "Screenshot": "screenshot",
        "SessionFilter": "session_filter",
        "SessionInfo": "session_info",
        "TOPICS": "topics",
        "SharedLink": "shared_link",
        "Topic": "topics",
        "TypingTicket": "typing",
    },
)
