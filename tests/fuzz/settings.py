"""Files of the operator: configuration, users, certificates.  An error is one line without a secret."""

import os
from unicodedata import category

from novnc_twisted.access.pem import certificates, private_key
from novnc_twisted.identity.htpasswd import parse
from novnc_twisted.service.flagfile import FlagFile, Unusable
from novnc_twisted.service.options.urls import libvirt_uri, web_url
from novnc_twisted.service.options.values import (
    absolute_folder,
    address,
    connectable_address,
    network,
    origin_host,
    policy_source,
    service_host,
)

from .tools import Target, clean_text_of, holds, same, text_of


def read(data: bytes) -> FlagFile | None:
    """A configuration file of these bytes; None if it is unusable."""
    handle = os.memfd_create("fuzz")
    try:
        os.write(handle, data)
        return FlagFile.read(f"/proc/self/fd/{handle}")
    except Unusable as error:
        holds("\n" not in str(error), "more than a line", error)
        holds(len(str(error)) < 200, "shows the line", error)
        return None
    finally:
        os.close(handle)


def run_flagfile(data: bytes) -> None:
    """nova.conf, bare lines, flag files: refused in one line, or the same after writing it in oslo.config's form."""
    file = read(data)
    if file is None:
        return
    again = read(file.normalised().encode())
    holds(again is not None, "what was written can't be read", file.sections)
    assert again is not None  # for the type checker
    same(again.sections, file.sections, "the values")


def run_htpasswd(data: bytes) -> None:
    """The user file: no error contains a hash, and an incomplete line makes no administrator."""
    text = clean_text_of(data)
    try:
        users = parse(text, "users", ["user"]).users
    except ValueError as error:
        holds(
            "\n" not in str(error) and len(str(error)) < 200 and "$2" not in str(error).replace("$2b$ or $2y$", ""),
            "shows too much",
            error,
        )
        return
    for name, user in users.items():
        same(user.name, name, "the name")
        controls = any(category(character) in ("Cc", "Cs") for character in name + (user.project or ""))
        holds(not controls and user.project != "", "an impossible user", user)
        holds(user.is_admin == (name == "user"), "an administrator whom the option does not name", user)


def run_types(data: bytes) -> None:
    """Values of options: a value or ValueError."""
    text = text_of(data)
    for check in (
        *(network, absolute_folder, policy_source, address, connectable_address, origin_host, service_host),
        *(web_url, libvirt_uri),
    ):
        try:
            check(text)
        except ValueError:
            continue
        if check is policy_source:
            holds(not set(text) & set("; ,\r\n") and text.isascii(), "other directives", text)
        if check is absolute_folder:
            holds(text.startswith("/") and ".." not in text.split("/"), "leads elsewhere", text)


def run_pem(data: bytes) -> None:
    """Certificates and keys: a value or ValueError with our text."""
    for read_one in (certificates, private_key):
        try:
            holds(read_one(data), "no value")
        except ValueError as error:
            holds(len(str(error)) < 100, "quotes the text", error)


_HASH = b"$2b$04$" + b"a" * 53

TARGETS = (
    Target(
        "flagfile",
        run_flagfile,
        256,
        (
            b"[DEFAULT]\n",
            b"[vnc]\n",
            b"--flag=x\n",
            b"--noflag\n",
            b"a = b\n",
            b"  c\n",
            b"#x\n",
            b"\n",
            b"'",
            b"\xef\xbb\xbf",
        ),
    ),
    Target("htpasswd", run_htpasswd, 256, (b"user:", _HASH, b":project", b"\n", b"#", b":", b"\xe2\x80\xa8")),
    Target(
        "option-types",
        run_types,
        128,
        (
            b"10.0.0.0/8",
            b"[::1]",
            b"/run",
            b"/../",
            b"'self'",
            b"https://*.example",
            b";",
            b"http://[::1]:80/",
            b"qemu:///system",
        ),
    ),
    Target(
        "pem",
        run_pem,
        512,
        (
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----END CERTIFICATE-----\n",
            b"-----BEGIN PRIVATE KEY-----\n",
            b"-----END PRIVATE KEY-----\n",
            b"MIIB",
            b"\n",
        ),
    ),
)
