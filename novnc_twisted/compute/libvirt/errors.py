"""Translates libvirt's errors, by their codes, into refusals."""

from typing import TypeGuard

import libvirt

from novnc_twisted.access.display import one_line
from novnc_twisted.compute.domain_xml import DomainXMLError
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable


def refusal_of(error: Exception, uri: str) -> Exception:
    """Return the refusal for an error of libvirt or for unusable XML; return other errors unchanged."""
    if isinstance(error, DomainXMLError):
        return ServiceUnavailable(f"the XML of a domain at {uri} can't be read: {error}")
    if not isinstance(error, libvirt.libvirtError):
        return error
    if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
        return InstanceNotFound("libvirt has no such domain")
    return ServiceUnavailable(f"libvirt at {uri}: {reason_of(error)}")


def is_refused_call(error: Exception) -> "TypeGuard[libvirt.libvirtError]":
    """Return whether an error comes from libvirt, and is not just a missing domain."""
    return isinstance(error, libvirt.libvirtError) and error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN


def reason_of(error: "libvirt.libvirtError") -> str:
    """Return libvirt's message as one line of limited length."""
    text = str(error.get_error_message() or error)
    return one_line(text.strip())
