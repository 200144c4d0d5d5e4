"""The forms of log lines, from which ``[DEFAULT] log_format`` chooses.

A supervisor also logs the events of its workers (:mod:`novnc_twisted.service.relayed_log`).  Such an event has its
message in ``log_message``, its traceback in ``log_exception``, the worker's process id in ``log_pid``, and the worker's
number in ``log_worker``.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from twisted.logger import LogEvent, LogLevel, eventAsText, formatEventAsClassicLogText, formatTime

LineFormat = Callable[[LogEvent], str | None]
"""Returns the lines of an event, each with a line break; None for an event without text."""

_LEVELS: Final = {LogLevel.warn: "WARNING"}
"""The levels of Twisted that have another name in Python's logging.  oslo.log uses the names of Python's logging."""

_OURS: Final = ("time", "level", "namespace", "pid", "worker", "text", "exception")
"""Our fields of a JSON line; ``worker`` and ``exception`` are not in every line.

An event's own field with one of these names gets the prefix ``field_``.
"""


def text_line(event: LogEvent) -> str | None:
    """Return the event in Twisted's classic form, with local time.

    An event whose whole message is the field ``summary`` is formatted here.  The end of each session is logged in this
    way, and Twisted's own formatting would take 2% of the CPU time of a session's set-up.
    """
    if event.get("log_format") != "{summary}" or "log_system" in event or "log_failure" in event:
        return formatEventAsClassicLogText(event)
    text = event["summary"].replace("\n", "\n\t")
    return f"{_stamp(int(event['log_time']))} [{event['log_namespace']}#{event['log_level'].name}] {text}\n"


@lru_cache(maxsize=1)
def _stamp(second: int) -> str:
    return formatTime(second)


def oslo_line(event: LogEvent) -> str | None:
    """Return the event in the form of oslo.log's ``logging_default_format_string``, with local time.

    Each line of a traceback gets its own time stamp and level, as with oslo.log's ``logging_exception_prefix``.
    """
    seconds = event["log_time"]
    stamp = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{int(seconds % 1 * 1000):03d}"
    level, name = level_name(event), namespace(event)
    text, exception = text_of(event), exception_of(event)
    # Further lines of a text begin with a tab, because a client's text must not look like our own line.
    lines = [f"{stamp} {pid(event)} {level} {name} [-] " + text.replace("\n", "\n\t")]
    lines += [f"{stamp} {pid(event)} ERROR {name} {line}" for line in exception.splitlines()]
    return "\n".join(lines) + "\n"


def json_line(event: LogEvent) -> str | None:
    """Return the event as one JSON object.  An event of ``novnc_twisted.events`` adds its own fields."""
    exception = exception_of(event)
    own = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="microseconds"),
        "level": level_name(event).lower(),
        "namespace": namespace(event),
        "pid": pid(event),
        **({"worker": event["log_worker"]} if "log_worker" in event else {}),
        "text": text_of(event),
        **({"exception": exception} if exception else {}),
    }
    return json.dumps(own | dict(_fields(event))) + "\n"


FORMATS: Final[dict[str, LineFormat]] = {
    "text": text_line,
    "json": json_line,
    "oslo": oslo_line,
}
"""The forms by their names."""


def level_name(event: LogEvent) -> str:
    """Return the name of the level in Python's logging."""
    level = event.get("log_level") or LogLevel.info
    return _LEVELS.get(level, str(level.name).upper())


def namespace(event: LogEvent) -> str:
    """Return the logger's name, without spaces; ``twisted`` for events of ``twisted.python.log``."""
    name = str(event.get("log_namespace") or "-")
    return "twisted" if name == "log_legacy" else "_".join(name.split())


def pid(event: LogEvent) -> int:
    """Return the id of the process that logged the event: a worker, or this process."""
    return int(event.get("log_pid") or os.getpid())


def text_of(event: LogEvent) -> str:
    """Return the message of an event, without its traceback."""
    if "log_message" in event:
        return str(event["log_message"])
    if event.get("isError"):
        return str(event.get("why") or "Unhandled error")  # log.err(), whose text contains the traceback
    return eventAsText(event, includeTraceback=False, includeTimestamp=False, includeSystem=False)


def exception_of(event: LogEvent) -> str:
    """Return the traceback of an event; empty if it has none."""
    if "log_exception" in event:
        return str(event["log_exception"])
    failure = event.get("log_failure") or event.get("failure")  # the second name is that of log.err()
    try:
        return str(failure.getTraceback()).rstrip("\n") if failure is not None else ""
    except Exception as error:  # an exception that is formatted may itself raise any exception
        return f"(the traceback can't be shown: {type(error).__name__})"


def _fields(event: LogEvent) -> Iterator[tuple[str, Any]]:
    # Only the events of novnc_twisted.events have fields for programs.  These events have the field "event".
    if "event" not in event:
        return
    for name, value in event.items():
        if not name.startswith("log_") and (value is None or isinstance(value, str | int | float)):
            yield (f"field_{name}" if name in _OURS else name), value
