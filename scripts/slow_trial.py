#!/usr/bin/env python3
"""Run trial with pauses in its reactor, as on a busy machine: ``slow_trial.py [OPTIONS OF TRIAL] tests.session``.

A test that fails here, but not with trial alone, depends on how fast the machine is.  There may be a pause before and
after the events of each iteration of the reactor.  ``SLOW_CHANCE`` is the probability of each of these pauses (0.1),
``SLOW_PAUSE`` the longest pause in seconds (0.3).  Processes that the tests start have no pauses.
"""

import os
import random
import sys
import time
from pathlib import Path

from twisted.internet import epollreactor
from twisted.scripts.trial import run

CHANCE = float(os.environ.get("SLOW_CHANCE") or 0.1)
PAUSE = float(os.environ.get("SLOW_PAUSE") or 0.3)

# A separate generator, because hypothesis seeds that of the ``random`` module.
_random = random.SystemRandom()


def pause() -> None:
    """With the probability ``CHANCE``, sleep for a random time."""
    if _random.random() < CHANCE:
        time.sleep(_random.uniform(0, PAUSE))


class SlowReactor(epollreactor.EPollReactor):
    """A reactor whose process often has to wait for a processor."""

    def doPoll(self, timeout: float) -> None:
        """See EPollReactor."""
        pause()
        super().doPoll(timeout)
        pause()

    doIteration = doPoll


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.argv[0] = "trial"
    epollreactor.EPollReactor = SlowReactor
    run()
