"""The service on a compute host (in nova: nova-compute): the host's libvirt domains, and where their consoles are."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ComputeAPI": "rpcapi",
        "ComputeManager": "manager",
        "Domain": "domain_xml",
        "IDriver": "interfaces",
        "LibvirtDriver": "libvirt.driver",
        "read_domain": "domain_xml",
    },
)
