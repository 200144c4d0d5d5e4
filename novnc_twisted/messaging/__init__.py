"""The bus between the services: calls, broadcasts, presence (which services are live) and a small keyed store.

The option ``transport_url`` selects Redis or the memory of one process.
"""

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
