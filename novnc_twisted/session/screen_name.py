"""Checks that a VNC server shows the screen of the right VM: QEMU reports the name of its VM in ServerInit.

Ports are reused after a stop or a migration, so an address can belong to another VM when the proxy connects to it
(CVE-2013-0335).  The name in ServerInit comes over the same connection as the screen, so both belong to the same
VM.
"""

import re
from typing import Final

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable

AUTO: Final = "auto"
"""Compare names of the form ``QEMU (X)`` only; a VNC server of another kind may have any name."""

OFF: Final = "off"
"""Compare nothing."""

FIELDS: Final = ("name", "instance_name", "uuid")
"""The names that a template of the option ``name_check`` may contain, in braces."""

_FIELDS_IN_BRACES: Final = ", ".join(f"{{{field}}}" for field in FIELDS)

_QEMUS_NAME: Final = re.compile(rb"QEMU \((.*)\)\Z", re.DOTALL)
_QEMUS_LONGEST: Final = 1023
"""Maximum number of bytes of a name that QEMU sends as a whole.

Of a longer name, QEMU sends this many bytes and a NUL (``ui/vnc.c``, ``protocol_client_init``).
"""

_REFERENCE: Final = re.compile(r"\{([^{}]*)\}")


def check_template(text: str) -> str:
    """Return a value of the option ``name_check``: ``auto``, ``off``, or a template.

    A template must refer to at least one name, and all names to which it refers must be in :data:`FIELDS`.

    :raises ValueError: the value is not valid.
    """
    if text in (AUTO, OFF):
        return text
    names = _REFERENCE.findall(text)
    if not names:
        raise ValueError(f"auto, off, or a template with one of {_FIELDS_IN_BRACES} is needed, not {text}")
    for name in names:
        if name not in FIELDS:
            raise ValueError(f"{{{name}}} is not known; a template may have {_FIELDS_IN_BRACES}")
    return text


def check_name(shown: bytes, info: ConnectInfo, name_check: str) -> bool:
    """Compare the name of a screen with the name of the VM.

    :param shown: the name in ServerInit.
    :param name_check: ``auto``, ``off``, or a template.
    :return: True: the name proves that this is the screen of the VM, or ``name_check`` is ``off``.  False: the names
        cannot be compared, for example because the name of the VM is not known.
    :raises ConsoleUnreachable: the name is that of another VM.
    """
    if name_check == OFF:
        return True
    if name_check == AUTO:
        # A screen name of another form shows neither that this is the VM nor that it is another VM.
        if _QEMUS_NAME.match(shown) is None or not info.instance_name:
            return False
        expected = f"QEMU ({info.instance_name})"
    else:
        values = {"name": info.name, "instance_name": info.instance_name, "uuid": info.instance_uuid}
        # If a value is missing, the result of the template would match no name, and nobody could use the console.
        if not all(values[name] for name in _REFERENCE.findall(name_check)):
            return False
        expected = _REFERENCE.sub(lambda found: values[found[1]], name_check)
    # Compare bytes: QEMU may have cut the name in the middle of a character.
    name = expected.encode()
    cut = name[:_QEMUS_LONGEST] + b"\0" if len(name) > _QEMUS_LONGEST else name
    if shown not in (name, cut):
        raise ConsoleUnreachable(
            f"another VM has this address now: its screen is named {shown.decode(errors='replace')}, not {expected}"
        )
    return True
