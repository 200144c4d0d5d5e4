"""Every target on inputs that hypothesis makes: always the same ones, so that a failure is a change of ours."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, settings
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.strategies import inputs
from tests.fuzz.table import targets
from tests.fuzz.tools import Target

EXAMPLES = 150
bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


class RandomTests(SynchronousTestCase):
    """One test for each target; made below."""


def _random(target: Target) -> Callable[[RandomTests], None]:
    def test(self: RandomTests) -> None:
        bounded(given(inputs(target))(target.run))()

    return test


for _name, _target in targets().items():
    setattr(RandomTests, f"test_{_name.replace('-', '_')}", _random(_target))
