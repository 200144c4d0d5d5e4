"""``python -m tests.failures.lane FILE SECONDS CLOUD PART:FAULT...``: run faults one after the other.

It must run in a network namespace of its own.  It appends each outcome to FILE, as a line of JSON.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.failures.case import Case
from tests.failures.cloud import Cloud
from tests.failures.run import Run
from tests.failures.viewers import Users


async def lane(file: Path, seconds: float, kind: str, wanted: list[str]) -> None:
    """Run these faults, and write their outcomes."""
    case = Case()
    try:
        cloud = Cloud(case, kind)
        await cloud.start()
        users = Users(cloud)
        for uuid, host, name in ((cloud.red, "hv1", "red"), (cloud.held, "hv1", "held"), (cloud.blue, "hv2", "blue")):
            await users.learn(uuid, host, name)
        for one in wanted:
            part, _, fault = one.partition(":")
            outcome = await Run(cloud, users, part, fault, seconds).run()
            with file.open("a") as lines:
                lines.write(json.dumps(outcome.to_json()) + "\n")
            print(outcome, flush=True)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        if "FAILURES_LOGS" in os.environ:
            for name, process in cloud.processes.items():
                (Path(os.environ["FAILURES_LOGS"]) / f"{name}.log").write_text(process.output)
            for name, server in cloud.stores.servers.items():
                log = (server.folder / "redis.log").read_text()
                (Path(os.environ["FAILURES_LOGS"]) / f"{name}.log").write_text(log)
        await case.close()


def main() -> None:
    """Run the faults, and exit with 1 after an exception."""
    file, seconds, kind, *wanted = sys.argv[1:]
    failed: list[Any] = []
    stopping: list[bool] = []

    def begin() -> None:
        work = Deferred.fromCoroutine(lane(Path(file), float(seconds), kind, wanted))

        def interrupted() -> Deferred[None]:
            # An interrupted run still ends the processes that it started.
            stopping.append(True)
            work.cancel()
            return work

        trigger = reactor.addSystemEventTrigger("before", "shutdown", interrupted)  # type: ignore[attr-defined]

        def done(result: Any) -> None:
            if isinstance(result, Failure):
                failed.append(result)
            if not stopping:
                reactor.removeSystemEventTrigger(trigger)  # type: ignore[attr-defined]
                reactor.stop()  # type: ignore[attr-defined]

        work.addBoth(done)

    reactor.callWhenRunning(begin)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
