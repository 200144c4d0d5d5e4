"""The HTTP server of monitoring."""

from typing import Any

from novnc_twisted.http.site import Site


class MonitoringSite(Site):
    """A site without an access log: probers and scrapers ask all the time, also while something is missing."""

    noisy = False

    def log(self, request: Any) -> None:
        """See Site.  Log nothing."""
