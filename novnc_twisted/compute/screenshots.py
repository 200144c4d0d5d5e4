"""Takes pictures of the screens of this host's domains.  Callers with the same request share one picture."""

import base64
from typing import Final

from twisted.internet.defer import Deferred

from novnc_twisted.compute.interfaces import IDriver
from novnc_twisted.contract.screenshot import Screenshot
from novnc_twisted.errors import InstanceNotRunning
from novnc_twisted.messaging.shared_call import SharedCall

MAX_AGE: Final = 1.0
"""Seconds for which a picture is used for further requests."""

MAX_KEPT: Final = 64
"""Maximum number of pictures that are kept.  A further picture goes only to the callers for which it is taken."""

_Key = tuple[str, str, int | None]
"""The domain's UUID, the format, and the maximum width of a picture."""


class Screenshots:
    """Takes pictures: for each domain, format and maximum width at most one at a time."""

    def __init__(self, driver: IDriver) -> None:
        self._driver = driver
        self._calls: dict[_Key, SharedCall[Screenshot]] = {}
        self._kept: dict[_Key, tuple[float, Screenshot]] = {}

    async def take(self, uuid: str, kind: str, width: int | None) -> Screenshot:
        """Return a picture of a domain's screen.

        If a picture for the same arguments was kept less than :data:`MAX_AGE` seconds ago, return that picture.  If one
        is being taken now, wait for it.  If not, take a new one.

        :param uuid: in lower case.
        :param kind: one of :data:`novnc_twisted.contract.screenshot.FORMATS`.
        :param width: the maximum width in pixels; None: the screen's own width.
        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: the domain is stopped.
        :raises ServiceUnavailable: libvirt does not answer or gives no picture.
        """
        key = (uuid, kind, width)
        now = self._driver.clock.seconds()
        self._kept = {known: kept for known, kept in self._kept.items() if now - kept[0] < MAX_AGE}
        if key in self._kept:
            return self._kept[key][1]
        call = self._calls.setdefault(key, SharedCall(lambda: Deferred.fromCoroutine(self._take(key)), joins=True))
        return await call()

    async def _take(self, key: _Key) -> Screenshot:
        uuid, kind, width = key
        try:
            domain = await self._driver.get_domain(uuid)
            if not domain.active:
                raise InstanceNotRunning(f"{domain.name} is {domain.state}")
            picture = await self._driver.screenshot(uuid, kind, width)
        finally:
            self._calls.pop(key, None)
        text = base64.b64encode(picture.data).decode("ascii")
        shot = Screenshot(kind=kind, width=picture.width, height=picture.height, data=text)
        if len(self._kept) < MAX_KEPT:
            self._kept[key] = (self._driver.clock.seconds(), shot)
        return shot
