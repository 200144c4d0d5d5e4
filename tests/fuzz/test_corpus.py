"""Run each target on its corpus: earlier findings stay fixed, and the targets fit the parsers' interfaces."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.seeds import parts
from tests.fuzz.stretch import in_time, stretched
from tests.fuzz.table import CORPUS, MODULES, corpus, module_of, targets
from tests.fuzz.tools import Broken, broken

ALL = targets()
LARGEST = 400 * 1024
"""Limit of the corpus in bytes, since each checkout contains it."""


def replay(name: str) -> Callable[[SynchronousTestCase], None]:
    """A test of one target."""

    def test(self: SynchronousTestCase) -> None:
        inputs = corpus(name)
        self.assertTrue(inputs, "no corpus")
        for data in (b"", b"\0", *inputs, *(data[: len(data) // 2] for data in inputs)):
            ALL[name].run(data)

    return test


class ReplayTests(SynchronousTestCase):
    test_rfb_login = replay("rfb-login")
    test_rfb_vencrypt = replay("rfb-vencrypt")
    test_rfb_offer = replay("rfb-offer")
    test_rfb_refuse = replay("rfb-refuse")
    test_shield = replay("shield")
    test_view_only = replay("view-only")
    test_server_messages = replay("server-messages")
    test_frames = replay("frames")
    test_text_frames = replay("text-frames")
    test_http_request = replay("http-request")
    test_http_upgrade = replay("http-upgrade")
    test_access_path = replay("access-path")
    test_proxy_protocol = replay("proxy-protocol")
    test_forwarded = replay("forwarded")
    test_origin = replay("origin")
    test_token = replay("token")
    test_access_url = replay("access-url")
    test_page = replay("page")
    test_page_settings = replay("page-settings")
    test_picture = replay("picture")
    test_channel = replay("channel")
    test_token_target = replay("token-target")
    test_token_path = replay("token-path")
    test_token_jwt = replay("token-jwt")
    test_json = replay("json")
    test_bus_request = replay("bus-request")
    test_bus_reply = replay("bus-reply")
    test_host_answer = replay("host-answer")
    test_connect_info = replay("connect-info")
    test_redis_url = replay("redis-url")
    test_redis_reply = replay("redis-reply")
    test_domain_record = replay("domain-record")
    test_domain_xml = replay("domain-xml")
    test_flagfile = replay("flagfile")
    test_htpasswd = replay("htpasswd")
    test_option_types = replay("option-types")
    test_pem = replay("pem")
    test_api_json = replay("api-json")
    test_api_target = replay("api-target")
    test_api_site = replay("api-site")
    test_front = replay("front")

    def test_every_target_has_its_test(self) -> None:
        for name in ALL:
            self.assertTrue(hasattr(self, f"test_{name.replace('-', '_')}"), name)


class TableTests(SynchronousTestCase):
    def test_corpus_and_targets(self) -> None:
        """Each target has a folder with small files, and the files that seeds.py makes are up to date."""
        self.assertEqual({path.name for path in CORPUS.iterdir()}, set(ALL))
        files = list(CORPUS.glob("*/*"))
        self.assertLess(sum(path.stat().st_size for path in files), LARGEST)
        for path in files:
            self.assertLessEqual(path.stat().st_size, 4096, path)
        for name, made in parts():
            for title, data in made.items():
                if title != "answer":  # sealing makes it different each time
                    self.assertEqual(
                        (CORPUS / name / title).read_bytes(), data, f"{name}/{title}: run tests.fuzz.seeds"
                    )

    def test_modules(self) -> None:
        """targets() finds each target by its module, and refuses duplicate names."""
        for name, target in ALL.items():
            self.assertIn(module_of(target), MODULES)
            self.assertIs(targets(module_of(target))[name], target)
        self.assertRaises(ValueError, targets, "shield", "shield")

    def test_long_inputs(self) -> None:
        """One stretched input of each target; fuzzing uses all of them."""
        for name, target in ALL.items():
            data = max(corpus(name), key=len)
            in_time(target.run, next(iter(stretched(data))))

    def test_what_takes_too_long(self) -> None:
        """Too much CPU time is a finding."""

        def square(data: bytes) -> None:
            while True:
                sum(data)

        self.patch(__import__("tests.fuzz.stretch", fromlist=["SECONDS"]), "SECONDS", 0.05)
        self.assertRaises(Broken, in_time, square, b"x")
        in_time(lambda data: None, b"x")

    def test_findings_are_shortened(self) -> None:
        error = self.assertRaises(Broken, broken, "what", b"x" * 1000, 1)
        self.assertLess(len(str(error)), 400)
