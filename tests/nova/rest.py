"""A small blocking client of Keystone and nova, to prepare a cloud and to act as its users."""

import json
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

PASSWORD = "{name}-password"
"""The password of each user, by the user's name."""


class Rest:
    """A user who has logged in to a project.

    :ivar token: the Keystone token.
    :ivar user_id: the user's id.
    :ivar version: the microversion of its requests to the Compute API.
    """

    version = "2.90"

    def __init__(self, keystone: str, nova: str, user: str, project: str, scope: Any = None) -> None:
        """Log in.

        :param scope: a scope of Keystone's API in place of the project.
        :param keystone: ``http://HOST:PORT/v3``.
        :param nova: ``http://HOST:PORT/v2.1``.
        """
        self.keystone, self.nova = keystone, nova
        domain = {"id": "default"}
        who = {"user": {"name": user, "domain": domain, "password": PASSWORD.format(name=user)}}
        scope = scope or {"project": {"name": project, "domain": domain}}
        self._log_in({"identity": {"methods": ["password"], "password": who}, "scope": scope})

    @classmethod
    def with_credential(cls, keystone: str, nova: str, identity: str, secret: str) -> "Rest":
        """Log in with an application credential."""
        self = cls.__new__(cls)
        self.keystone, self.nova = keystone, nova
        who = {"id": identity, "secret": secret}
        self._log_in({"identity": {"methods": ["application_credential"], "application_credential": who}})
        return self

    def _log_in(self, auth: dict[str, Any]) -> None:
        self.token = ""
        body = json.dumps({"auth": auth}).encode()
        request = Request(f"{self.keystone}/auth/tokens", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            self.token = answer.headers["X-Subject-Token"]
            self.user_id = json.load(answer)["token"]["user"]["id"]

    def revoke(self) -> None:
        """Revoke the token, as ``openstack token revoke`` does."""
        headers = {"X-Auth-Token": self.token, "X-Subject-Token": self.token}
        with urlopen(Request(f"{self.keystone}/auth/tokens", headers=headers, method="DELETE"), timeout=60):
            pass

    def ask(self, method: str, path: str, body: Any = None, *, of_keystone: bool = False) -> tuple[int, Any]:
        """Send a request; return the status and the JSON of the answer."""
        headers = {
            "X-Auth-Token": self.token,
            "Content-Type": "application/json",
            "OpenStack-API-Version": f"compute {self.version}",
        }
        url = (self.keystone if of_keystone else self.nova) + path
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(url, data, headers, method=method), timeout=120) as answer:
                status, text = answer.status, answer.read()
        except HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text else {}

    def do(self, method: str, path: str, body: Any = None, *, of_keystone: bool = False) -> Any:
        """Send a request that has to succeed; return the JSON of the answer."""
        status, answer = self.ask(method, path, body, of_keystone=of_keystone)
        if status >= 400:
            raise AssertionError(f"{method} {path}: {status} {answer}")
        return answer

    def until(self, path: str, name: str, wanted: Any, seconds: float = 300) -> Any:
        """Repeat a GET until a field of the one object in its answer has this value; return the object."""
        end = time.monotonic() + seconds
        while True:
            (found,) = self.do("GET", path).values()
            if found.get(name) == wanted:
                return found
            if found.get("status") == "ERROR" or time.monotonic() > end:
                raise AssertionError(f"{path}: {name} is {found.get(name)}, not {wanted}: {found.get('fault')}")
            time.sleep(0.3)
