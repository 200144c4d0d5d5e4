"""Takes the picture of a domain's screen from libvirt.  The function blocks, so it runs in a thread."""

from typing import Any

from novnc_twisted.compute.interfaces import Picture
from novnc_twisted.compute.pictures import MAX_RAW, UnusablePicture, convert
from novnc_twisted.errors import ServiceUnavailable


def screenshot(connection: Any, uuid: str, kind: str, width: int | None) -> Picture:
    """Return the picture of the first screen of a domain.

    This uses no VNC connection: QEMU writes the picture, and libvirt streams it.

    :raises libvirt.libvirtError: there is no such domain, or libvirt refuses the picture, for example because the
        domain has no screen.
    :raises ServiceUnavailable: the picture is unusable.
    """
    domain = connection.lookupByUUIDString(uuid)
    stream = connection.newStream()
    raw = bytearray()

    def receive(_stream: Any, data: bytes, _opaque: None) -> int:
        raw.extend(data)
        # If this function raises an exception, recvAll() aborts the stream, and raises the exception again.
        if len(raw) > MAX_RAW:
            raise UnusablePicture(f"it has more than {MAX_RAW >> 20} MiB")
        return 0

    domain.screenshot(stream, 0, 0)
    try:
        stream.recvAll(receive, None)
        stream.finish()
        return convert(bytes(raw), kind, width)
    except UnusablePicture as error:
        raise ServiceUnavailable(f"libvirt's picture of the screen can't be used: {error}") from None
