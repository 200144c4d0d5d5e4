"""XML of small VMs in software emulation, for the demo and for tests with real programs."""

import uuid
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

VNC_ON_LOOPBACK = "<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>"
"""VNC without a password on a port of loopback that libvirt chooses."""

VNC_ON_UNIX_SOCKET = "<graphics type='vnc'><listen type='socket'/></graphics>"
"""VNC on a unix socket in a folder that libvirt chooses (it is in the live XML)."""


def vnc_with_password(password: str, *, valid_to: str | None = None) -> str:
    """VNC on loopback with a password, of which the first 8 characters count.

    :param valid_to: UTC time as ``2036-01-01T00:00:00`` after which every password is refused.
    """
    until = f" passwdValidTo={quoteattr(valid_to)}" if valid_to else ""
    return f"<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1' passwd={quoteattr(password)}{until}/>"


def small_domain(
    name: str,
    *,
    identity: str | None = None,
    graphics: str = VNC_ON_LOOPBACK,
    metadata: str = "",
    memory_mb: int = 16,
    boot_image: Path | str | None = None,
    domain_type: str = "qemu",
) -> str:
    """The XML of a small VM: one CPU in software emulation, a VGA screen, nothing else.

    :param identity: its UUID; None: a new one.
    :param graphics: the ``<graphics>`` element; empty: no display.
    :param metadata: the content of ``<metadata>``, such as nova's ``<nova:instance>``.
    :param boot_image: a raw disk image to boot from (512 bytes are enough), readable by the VM's user; None: the BIOS
        reports that there is no bootable device, and stops.
    :param domain_type: ``qemu`` is software emulation; ``test`` is libvirt's test driver.
    """
    disk = ""
    if boot_image is not None:
        disk = (
            "<disk type='file' device='floppy'><driver name='qemu' type='raw'/>"
            f"<source file={quoteattr(str(boot_image))}/><target dev='fda'/><readonly/></disk>"
        )
    boot = "fd" if boot_image is not None else "hd"
    return (
        f"<domain type='{domain_type}'><name>{escape(name)}</name><uuid>{identity or uuid.uuid4()}</uuid>"
        f"<metadata>{metadata}</metadata>"
        f"<memory unit='MiB'>{memory_mb}</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64'>hvm</type><boot dev='{boot}'/></os>"
        "<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot>"
        "<devices>"
        f"{disk}{graphics}"
        "<video><model type='vga'/></video><memballoon model='none'/>"
        "</devices></domain>"
    )
