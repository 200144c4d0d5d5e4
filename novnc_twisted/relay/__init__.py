"""The two ends (connections) of a session, the relay between them, and WebSocket frames (without I/O)."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "FrameDecoder": "frames",
        "IEnd": "interfaces",
        "IFilter": "interfaces",
        "IReceiver": "interfaces",
        "StreamEnd": "stream_end",
        "WebSocketEnd": "websocket_end",
        "join": "join",
    },
)
