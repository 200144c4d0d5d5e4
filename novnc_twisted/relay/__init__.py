"""The pipe between the two ends of a session: WebSocket frames (without I/O), the ends, ``join`` and its engines."""

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
