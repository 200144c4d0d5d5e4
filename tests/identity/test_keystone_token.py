"""Keystone's document about a token: its format, and the rights that it gives."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.identity import Caller
from novnc_twisted.identity.keystone.token import KeystoneToken, Roles
from tests.support.identity import token_body

ADMIN, MEMBER, READER = ("admin", "manager", "member", "reader"), ("member", "reader"), ("reader",)
SYSTEM = {"project": None, "system": {"all": True}}
IN_DOMAIN = {"project": None, "domain": {"id": "default", "name": "Default"}}


def token(**more: Any) -> KeystoneToken:
    return KeystoneToken.read(token_body(**more))


class RightsTests(SynchronousTestCase):
    def test_in_a_project(self) -> None:
        self.assertEqual(Roles().caller(token()), Caller("alice-id", "red-id", is_admin=False))
        self.assertEqual(
            Roles().caller(token(roles=READER)), Caller("alice-id", "red-id", is_admin=False, reads_only=True)
        )
        self.assertEqual(Roles().caller(token(roles=ADMIN)), Caller("alice-id", "red-id", is_admin=True))
        for names in ((), ("service",), ("creator", "load-balancer_member")):
            error = self.assertRaises(HTTPError, Roles().caller, token(roles=names))
            self.assertEqual(error.status, 403)

    def test_the_system(self) -> None:
        """A token for the whole system gives rights only to an administrator."""
        self.assertEqual(Roles().caller(token(roles=ADMIN, **SYSTEM)), Caller("alice-id", None, is_admin=True))
        for names in (MEMBER, READER):
            self.assertRaises(HTTPError, Roles().caller, token(roles=names, **SYSTEM))
        self.assertRaises(HTTPError, Roles().caller, token(roles=ADMIN, project=None, system={"all": False}))
        self.assertRaises(HTTPError, Roles().caller, token(roles=ADMIN, project=None, system={"all": 1}))

    def test_no_project(self) -> None:
        for scope in ({"project": None}, IN_DOMAIN):
            for names in ((), READER, MEMBER, ADMIN):
                error = self.assertRaises(HTTPError, Roles().caller, token(roles=names, **scope))
                self.assertIn("OS_PROJECT_NAME", error.message)

    def test_an_administrator_of_one_project_alone(self) -> None:
        """Keystone sends ``is_admin_project`` if its option admin_project_name is set."""
        self.assertEqual(
            Roles().caller(token(roles=ADMIN, is_admin_project=False)), Caller("alice-id", "red-id", is_admin=False)
        )
        self.assertTrue(Roles().caller(token(roles=ADMIN, is_admin_project=True)).is_admin)

    def test_names_of_roles(self) -> None:
        roles = Roles.of(["Cloud_Admin"], ["member", "_member_"], [])
        self.assertTrue(roles.caller(token(roles=("CLOUD_admin",))).is_admin)
        self.assertFalse(roles.caller(token(roles=("_member_",))).reads_only)
        for names in (("admin",), ("reader",), ("administrator",)):
            self.assertRaises(HTTPError, roles.caller, token(roles=names))


class FormTests(SynchronousTestCase):
    def test_a_token(self) -> None:
        found = token(expires_at=1234.5)
        self.assertEqual((found.user, found.project, found.expires_at), ("alice-id", "red-id", 1234.5))
        self.assertEqual((found.roles, found.is_system, found.access_rules), ({"member", "reader"}, False, None))

    def test_application_credentials(self) -> None:
        plain = {"id": "x", "name": "x", "restricted": True}
        self.assertIsNone(token(application_credential=plain).access_rules)
        self.assertEqual(token(application_credential=plain | {"access_rules": []}).access_rules, ())
        rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
        (found,) = token(application_credential=plain | {"access_rules": [rule]}).access_rules or ()
        self.assertEqual(found, ("compute", "GET", "/v2.1/servers"))

    def test_rubbish(self) -> None:
        """Malformed documents are refused, and malformed roles are ignored."""
        for body in (None, [], "x", {}, {"token": None}, {"token": []}, {"token": {}}, {"access": {}}):
            self.assertRaises(ValueError, KeystoneToken.read, body)
        for more in (
            {"expires_at": None},
            {"expires_at": 7},
            {"expires_at": "soon"},
            {"user": None},
            {"user": "alice"},
            {"user": {"id": ""}},
            {"user": {"id": "a\nb"}},
            {"user": {"id": "x" * 300}},
            {"project": "red"},
            {"project": {"name": "red"}},
            {"project": {"id": ["red"]}},
            {"roles": "admin"},
            {"roles": {"name": "admin"}},
            {"application_credential": "x"},
            {"application_credential": {"access_rules": "none"}},
            {"application_credential": {"access_rules": [7]}},
        ):
            body = token_body()
            body["token"] |= more
            self.assertRaises(ValueError, KeystoneToken.read, body)
        body = token_body()
        body["token"]["roles"] = [None, "admin", {"id": "admin"}, {"name": ["admin"]}, {"name": "reader"}]
        self.assertEqual(KeystoneToken.read(body).roles, {"reader"})
