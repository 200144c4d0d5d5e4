"""The strategy http_basic: requests without credentials, and with correct and wrong ones."""

from base64 import b64encode

from tests.api.users import TOKENS, UsersCase, basic
from tests.http.harness import Connection


class HTTPBasicTests(UsersCase):
    def test_public_documents(self) -> None:
        for path, status in (
            ("/", 200),
            ("/v2.1", 200),
            ("/v2.1/", 200),
            ("/v2", 200),
            ("/identity", 300),
            ("/identity/v3", 200),
            ("/identity/v3/", 200),
            ("/image", 300),
        ):
            self.assertEqual(self.system.get(path, Host="cloud.example", Origin="https://x").status, status, path)

    def test_everything_else_needs_a_user(self) -> None:
        for path in ("/v2.1/servers", "/v2.1/nothing", "/v2/servers", "/v2.1/os-services", "/image/v2/images", TOKENS):
            self.refused(self.system.get(path))
        for headers in (
            {"X_Auth_Token": "notused"},
            {"X_Auth_Token": ""},
            {"X_Auth_Token": "gAAAAAB" + "x" * 200},
            {"X_Auth_Token": "gAAAA" + "x" * 9000},
            {"Authorization": basic("alice", "wrong")},
            {"Authorization": basic("nobody", "r3d:pass")},
            {"Authorization": basic("", "")},
            {"Authorization": basic("alice", "")},
            {"Authorization": basic("alice", "r3d:pass\x00more")},
            {"Authorization": "Basic"},
            {"Authorization": "Basic ///"},
            {"Authorization": "Basic " + b64encode(b"\xff\xfe:x").decode()},
            {"Authorization": "Bearer " + self.token()},
            # X-Auth-Token is ignored in a request with Authorization.
            {"Authorization": basic("alice", "wrong"), "X_Auth_Token": self.token()},
        ):
            self.refused(self.system.get("/v2.1/servers", **headers))

    def test_the_same_header_twice(self) -> None:
        connection = Connection(self.system.site)
        token = self.token().encode()
        connection.send(b"GET /v2.1/servers HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %b\r\nX-Auth-Token: y\r\n\r\n" % token)
        self.assertEqual([answer.status for answer in connection.answers()], [400])
