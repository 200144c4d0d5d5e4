"""The command ``novnc-redis-acl``, which makes a Redis user with a random password for each role.

The file of users contains only hashes of the passwords.  Each role also gets a configuration file, which contains its
password in transport_url.  Only the owner can read this file.  The services of the role read it in addition to
nova.conf.
"""

import argparse
import os
import secrets
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from novnc_twisted.messaging.redis.acl import Identity, aclfile_line
from novnc_twisted.messaging.redis_url import parse_redis_url

_DEFAULT: Final = "user default off ~* +@write"
"""The line of the user ``default``.  Nobody can log in as this user.

Redis loads its append-only file as this user.  Without these rights, Redis would lose data that a script has written in
more than one command, such as tokens (redis/redis issue 14541, valkey-io/valkey issue 3983).
"""

_DESCRIPTION = """\
Makes a Redis user (Redis 7.0 or newer) for each role.  Redis reads FOLDER/users.acl.  The services of a role read
FOLDER/ROLE.conf, which contains the transport_url of the role.  users.acl has a line for every role with a .conf in
FOLDER.  To add a role later, name that role alone; the others stay unchanged.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.  An error ends it with a message on standard error and an exit code that is not 0."""
    parser = argparse.ArgumentParser("novnc-redis-acl", description=_DESCRIPTION)
    parser.add_argument(
        "roles",
        nargs="*",
        metavar="ROLE",
        help="api, consoleauth, proxy, or compute.HOST@ADDRESS for each compute host.  HOST is its [DEFAULT] host, "
        "and ADDRESS its [vnc] server_proxyclient_address",
    )
    parser.add_argument(
        "--url",
        default="redis://controller:6379/0",
        help="the address of Redis, without user and password (redis://controller:6379/0)",
    )
    parser.add_argument("--into", metavar="FOLDER", help="the folder; it is created if it does not exist")
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="write no files: read the password of one role from standard input, and print its line for users.acl",
    )
    asked = parser.parse_args(arguments)
    try:
        identities = [Identity.parse(role) for role in dict.fromkeys(asked.roles)]
        if asked.password_stdin == bool(asked.into):
            raise ValueError("exactly one of --into FOLDER and --password-stdin is needed")
        if asked.password_stdin:
            print(_line_for(identities))
            return
        written = write(Path(asked.into), asked.url, identities)
    except (ValueError, OSError) as error:
        raise SystemExit(f"novnc-redis-acl: {error}") from None
    for path in written:
        print(path)


def write(folder: Path, url: str, identities: Sequence[Identity]) -> list[Path]:
    """Write the files; return the paths of those that were written.

    :param identities: the roles to add.  Roles that already have a file in the folder keep it.
    :param url: the address of Redis, without user and password.
    :raises ValueError: the URL can't be used; a ``.conf`` file in the folder is not the file of a role, or has no
        transport_url with the role's password; a compute host already has a file, but with another
        server_proxyclient_address; or another user could have written the folder or a ``.conf`` file in it.
    :raises OSError: a file can't be written.
    """
    try:
        parse_redis_url(url)
    except ValueError as error:
        raise ValueError(str(error).replace("transport_url", "--url", 1)) from None
    if "@" in urlsplit(url).netloc:
        raise ValueError("--url must not contain a user or a password: the command makes them")
    # mkdir() would accept a link, which another user may have made.  _check_owner() refuses a link.
    if not folder.is_symlink():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_owner(folder)
    for path in sorted(folder.glob("*.conf")):
        _check_owner(path)
    known = dict(_read(path) for path in sorted(folder.glob("*.conf")))
    written = []
    for identity in identities:
        if identity in known:
            continue
        path = folder / f"{identity.name}.conf"
        if path.exists():
            raise ValueError(f"{path} has another address for this role; change the address in this file")
        known[identity] = secrets.token_urlsafe(32)
        _private(path, _conf(url, identity, known[identity]))
        written.append(path)
    in_order = sorted(known.items(), key=lambda one: one[0].name)  # so that the same roles give the same file
    lines = [_DEFAULT, *(aclfile_line(*one) for one in in_order)]
    users = folder / "users.acl"
    # A new file is renamed, so that Redis never reads half a file, and so that the old file survives an error.
    fresh = users.with_suffix(".new")
    fresh.unlink(missing_ok=True)  # left behind by a run that has failed
    _private(fresh, "".join(line + "\n" for line in lines))
    fresh.replace(users)
    return [users, *written]


def _check_owner(path: Path) -> None:
    """Check that only this user or root can have written a path.  Another writer could know the passwords in it.

    :raises ValueError: the path belongs to another user, others can write it, or it is a link or a special file.
    """
    found = os.lstat(path)
    wrong = ""
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        wrong = "is a symbolic link, or not a plain file or folder"
    elif found.st_uid not in (0, os.geteuid()):
        wrong = f"belongs to another user (uid {found.st_uid})"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        wrong = "can be written by its group or by everybody"
    elif stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        wrong = "has another name as well (a hard link)"
    if wrong:
        raise ValueError(
            f"{path} {wrong}: its passwords can't be trusted; remove it, or use another folder with --into"
        )


def _line_for(identities: Sequence[Identity]) -> str:
    if len(identities) != 1:
        raise ValueError("--password-stdin is for one role")
    password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < 16:
        raise ValueError("the password must have at least 16 characters (openssl rand -hex 24 prints a good one)")
    return aclfile_line(identities[0], password)


def _private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read."""
    # O_EXCL neither follows a link nor opens an existing file.  The file has its mode from the beginning.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def _conf(url: str, identity: Identity, password: str) -> str:
    """Return the configuration file of a role.

    The file of a compute host also sets ``host`` and ``server_proxyclient_address``, because Redis permits the user of
    the role to announce the compute host under this name and address only.
    """
    scheme, _, rest = url.partition("://")
    lines = ["[DEFAULT]", f"transport_url = {scheme}://{quote(identity.user, safe='')}:{password}@{rest}"]
    if identity.host:
        lines += [f"host = {identity.host}", "", "[vnc]", f"server_proxyclient_address = {identity.address}"]
    return "".join(line + "\n" for line in lines)


def _read(path: Path) -> tuple[Identity, str]:
    """Read a role's file, which an earlier run has made; return the role and its password.

    :raises ValueError: the name of the file is not that of a role, or the file has no transport_url of this role.
    """
    values = {}
    for line in path.read_text().splitlines():
        name, found, value = line.partition("=")
        if found:
            values[name.strip()] = value.strip()
    try:
        address = values.get("server_proxyclient_address")
        identity = Identity.parse(path.stem + (f"@{address}" if address else ""))
        login = parse_redis_url(values.get("transport_url", ""))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if login.username != identity.user or not login.password:
        raise ValueError(f"{path} contains no transport_url of {identity.user}")
    return identity, login.password


if __name__ == "__main__":
    main()
