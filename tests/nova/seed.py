"""The users, projects, services and servers of the cloud."""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.nova.rest import PASSWORD, Rest

USERS = {
    "nova": ("service", ("admin", "service")),
    "placement": ("service", ("admin",)),
    "novncproxy": ("service", ("admin",)),
    "consoleapi": ("service", ("service",)),
    "alice": ("red", ("member",)),
    "rita": ("red", ("reader",)),
    "bob": ("blue", ("member",)),
}
"""User -> project and roles there."""

ATTEMPTS = 4
"""Attempts to create a server.  nova may lose a race with Placement: "another process changed the consumer"."""

IMAGE = "00000000-0000-4000-8000-000000000001"


def users(admin: Rest, ports: dict[str, int]) -> None:
    """Create projects and users, and the catalogue."""

    def create(kind: str, **fields: object) -> str:
        """Create an object of Keystone; return its id."""
        return str(admin.do("POST", f"/{kind}s", {kind: fields}, of_keystone=True)[kind]["id"])

    listed = admin.do("GET", "/roles", of_keystone=True)["roles"]
    roles = {role["name"]: role["id"] for role in listed}
    projects = {name: create("project", name=name, domain_id="default") for name in ("service", "red", "blue")}
    for name, (project, names) in USERS.items():
        user = create("user", name=name, password=PASSWORD.format(name=name), domain_id="default")
        for role in names:
            admin.do("PUT", f"/projects/{projects[project]}/users/{user}/roles/{roles[role]}", of_keystone=True)
    for name, kind, url in (
        ("nova", "compute", f"http://127.0.0.1:{ports['nova']}/v2.1"),
        ("placement", "placement", f"http://127.0.0.1:{ports['placement']}"),
        ("glance", "image", f"http://127.0.0.1:{ports['stubs']}/image"),
        ("neutron", "network", f"http://127.0.0.1:{ports['stubs']}/network"),
    ):
        service = create("service", name=name, type=kind)
        for interface in ("public", "internal"):
            create("endpoint", service_id=service, interface=interface, url=url, region_id="RegionOne")


def _delete(owner: Rest, path: str) -> None:
    """Delete a server, and wait until it is gone."""
    owner.do("DELETE", path)
    end = time.monotonic() + 120
    while owner.ask("GET", path)[0] != 404:
        if time.monotonic() > end:
            raise AssertionError(f"{path}: still exists 120 s after DELETE")
        time.sleep(0.3)


def servers(admin: Rest, owner: Rest, names: tuple[str, ...]) -> None:
    """Create servers, and wait until they are active."""
    flavor = admin.do("POST", "/flavors", {"flavor": {"name": "small", "ram": 64, "disk": 1, "vcpus": 1}})["flavor"]

    def create(name: str) -> None:
        wanted = {"name": name, "imageRef": IMAGE, "flavorRef": flavor["id"], "networks": "none"}
        for attempt in range(ATTEMPTS):
            path = f"/servers/{owner.do('POST', '/servers', {'server': wanted})['server']['id']}"
            try:
                owner.until(path, "status", "ACTIVE")
            except AssertionError:
                if attempt == ATTEMPTS - 1:
                    raise
                _delete(owner, path)
            else:
                return

    with ThreadPoolExecutor() as side_by_side:
        list(side_by_side.map(create, names))
