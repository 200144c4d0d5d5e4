"""The bus between the services: one ``transport_url`` for calls, broadcasts, presence and a small keyed store."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Answer": "interfaces",
        "ITransport": "interfaces",
        "IKeyedStore": "interfaces",
        "Service": "interfaces",
        "TracedTransport": "traced",
        "transport_from_url": "url",
    },
)
