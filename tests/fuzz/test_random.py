"""Run each target on inputs from hypothesis, always the same ones: a failure comes from a change of the code."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.internal.conjecture import providers
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.strategies import inputs
from tests.fuzz.table import targets

EXAMPLES = 150

# hypothesis also tries constants of our imported modules, which depend on the tests that ran before.
providers.is_local_module_file = lambda path: False

bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def random(name: str) -> Callable[[SynchronousTestCase], None]:
    """A test of one target."""

    def test(self: SynchronousTestCase) -> None:
        target = targets()[name]
        bounded(given(inputs(target))(target.run))()

    return test


class RandomTests(SynchronousTestCase):
    test_rfb_login = random("rfb-login")
    test_rfb_vencrypt = random("rfb-vencrypt")
    test_rfb_offer = random("rfb-offer")
    test_rfb_refuse = random("rfb-refuse")
    test_shield = random("shield")
    test_view_only = random("view-only")
    test_server_messages = random("server-messages")
    test_frames = random("frames")
    test_text_frames = random("text-frames")
    test_http_request = random("http-request")
    test_http_upgrade = random("http-upgrade")
    test_access_path = random("access-path")
    test_proxy_protocol = random("proxy-protocol")
    test_forwarded = random("forwarded")
    test_origin = random("origin")
    test_token = random("token")
    test_access_url = random("access-url")
    test_page = random("page")
    test_page_settings = random("page-settings")
    test_picture = random("picture")
    test_channel = random("channel")
    test_token_target = random("token-target")
    test_token_path = random("token-path")
    test_token_jwt = random("token-jwt")
    test_json = random("json")
    test_bus_request = random("bus-request")
    test_bus_reply = random("bus-reply")
    test_host_answer = random("host-answer")
    test_connect_info = random("connect-info")
    test_redis_url = random("redis-url")
    test_redis_reply = random("redis-reply")
    test_domain_record = random("domain-record")
    test_domain_xml = random("domain-xml")
    test_flagfile = random("flagfile")
    test_htpasswd = random("htpasswd")
    test_option_types = random("option-types")
    test_pem = random("pem")
    test_api_json = random("api-json")
    test_api_target = random("api-target")
    test_api_site = random("api-site")
    test_front = random("front")

    def test_every_target_has_its_test(self) -> None:
        for name in targets():
            self.assertTrue(hasattr(self, f"test_{name.replace('-', '_')}"), name)
