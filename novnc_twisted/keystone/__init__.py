"""Requests to OpenStack services with Keystone credentials, by keystoneauth1 (extra ``[openstack]``)."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {"Answer": "client", "KeystoneClient": "client", "SessionLoader": "session", "ThreadedCalls": "threads"},
)
