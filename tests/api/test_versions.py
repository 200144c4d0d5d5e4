from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.errors import fault_body
from novnc_twisted.api.microversion import Version, requested
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, instance, running


class DocumentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.system = running(self, NoAuth(), FakeHost("host1", instance("one")))

    def test_index(self) -> None:
        answer = self.system.get("/")
        self.assertEqual(answer.status, 200)
        legacy, current = answer.body["versions"]
        self.assertEqual((legacy["id"], legacy["version"], legacy["min_version"]), ("v2.0", "", ""))
        self.assertEqual((current["id"], current["version"], current["min_version"]), ("v2.1", "2.31", "2.1"))
        self.assertEqual(current["links"], [{"rel": "self", "href": "http://localhost:8774/v2.1/"}])

    def test_index_has_no_microversion(self) -> None:
        answer = self.system.get("/", OpenStack_API_Version="compute 9.9")
        self.assertEqual(answer.status, 200)
        self.assertNotIn("openstack-api-version", answer.headers)

    def test_one_version(self) -> None:
        for path, name in (("/v2.1", "v2.1"), ("/v2.1/", "v2.1"), ("/v2", "v2.0"), ("/v2/", "v2.0")):
            answer = self.system.get(path)
            self.assertEqual((answer.status, answer.body["version"]["id"]), (200, name))

    def test_choices_have_no_location(self) -> None:
        for path in ("/anything", "//evil.example/%2F..", "/v3", "/%0d%0aLocation:%20x"):
            answer = self.system.get(path)
            self.assertEqual(answer.status, 300)
            self.assertEqual([choice["id"] for choice in answer.body["choices"]], ["v2.0", "v2.1"])
            self.assertNotIn("location", answer.headers)

    def test_other_methods(self) -> None:
        for path in ("/", "/v2.1", "/identity", "/else"):
            answer = self.system.ask("DELETE", path)
            self.assertEqual((answer.status, answer["allow"]), (405, "GET, HEAD"))

    def test_head(self) -> None:
        connection = self.system.send("HEAD", "/v2.1/servers")
        self.assertTrue(connection.transport.value().startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(connection.transport.value().endswith(b"\r\n\r\n"))

    def test_every_answer_has_a_request_id(self) -> None:
        for path in ("/", "/v2.1/servers", "/v2.1/servers/x", "/v2.1/nothing/at/all"):
            answer = self.system.get(path)
            self.assertRegex(answer["x-openstack-request-id"], "^req-[0-9a-f-]{36}$")
            self.assertEqual(answer["x-openstack-request-id"], answer["x-compute-request-id"])


class MicroversionTests(SynchronousTestCase):
    def wanted(self, **headers: list[str]) -> Version:
        return requested(
            Request(method="GET", segments=(), headers={name.replace("_", "-"): v for name, v in headers.items()})
        )

    def test_forms(self) -> None:
        old, new = "x_openstack_nova_api_version", "openstack_api_version"
        cases = [
            ({}, "2.1"),
            ({old: ["2.6"]}, "2.6"),
            ({old: ["latest"]}, "2.31"),
            ({new: ["compute latest"]}, "2.31"),
            ({new: ["compute 2.8"], old: ["2.3"]}, "2.8"),
            ({new: ["identity 3.1, compute 2.9"]}, "2.9"),
            ({new: ["identity 3.1"], old: ["2.3"]}, "2.3"),
            ({old: [""]}, "2.1"),
        ]
        for headers, version in cases:
            self.assertEqual(str(self.wanted(**headers)), version, headers)

    def test_malformed(self) -> None:
        for text in ("2", "x", "2.", "2.01", "2.1.1", "\u0662.\u0661", "-2.1", "2.1 x"):
            error = self.assertRaises(HTTPError, self.wanted, openstack_api_version=[f"compute {text}"])
            self.assertEqual(
                fault_body(error),
                {
                    "badRequest": {
                        "code": 400,
                        "message": f"API Version String {text} is of invalid format. "
                        "Must be of format MajorNum.MinorNum.",
                    }
                },
            )

    def test_out_of_range(self) -> None:
        for text in ("2.500", "2.32", "3.1", "1.9", "2.0"):
            error = self.assertRaises(HTTPError, self.wanted, openstack_api_version=[f"compute {text}"])
            message = f"Version {text} is not supported by the API. Minimum is 2.1 and maximum is 2.31."
            self.assertEqual(fault_body(error), {"computeFault": {"code": 406, "message": message}})

    def test_headers_of_the_answer(self) -> None:
        system = running(self, NoAuth(), FakeHost("host1", instance("one")))
        for path in ("/v2.1/servers", "/v2.1/servers/none"):
            answer = system.get(path, X_OpenStack_Nova_API_Version="2.6")
            self.assertEqual(answer["openstack-api-version"], "compute 2.6")
            self.assertEqual(answer["x-openstack-nova-api-version"], "2.6")
            self.assertEqual(answer.headers["vary"], ["OpenStack-API-Version", "X-OpenStack-Nova-API-Version"])

    def test_v2_ignores_microversions(self) -> None:
        system = running(self, NoAuth(), FakeHost("host1", instance("one")))
        answer = system.get("/v2/servers", OpenStack_API_Version="compute nonsense")
        self.assertEqual(answer.status, 200)
        self.assertNotIn("openstack-api-version", answer.headers)
