"""The HTTP server of monitoring."""

from typing import Any

from novnc_twisted.http.site import Site


class MonitoringSite(Site):
    """A site without an access log, because probers and scrapers send requests all the time."""

    noisy = False

    def log(self, request: Any) -> None:
        """See Site.  Log nothing."""
