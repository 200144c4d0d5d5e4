"""libvirt's errors, by their codes, as refusals."""

import libvirt

from novnc_twisted.compute.domain_xml import DomainXMLError
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable


def refusal_of(error: Exception, uri: str) -> Exception:
    """The refusal that an error stands for; what is neither libvirt's nor ours stays what it is."""
    if isinstance(error, DomainXMLError):
        return ServiceUnavailable(f"the XML of a domain at {uri} can't be read: {error}")
    if not isinstance(error, libvirt.libvirtError):
        return error
    if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
        return InstanceNotFound("libvirt has no such domain")
    return ServiceUnavailable(f"libvirt at {uri}: {reason_of(error)}")


def reason_of(error: "libvirt.libvirtError") -> str:
    """What libvirt says, in one bounded line."""
    text = str(error.get_error_message() or error)
    return "".join(letter if letter.isprintable() else " " for letter in text)[:300]
