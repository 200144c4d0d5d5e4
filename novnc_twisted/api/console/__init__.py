"""The console API below ``/console/v1``: sessions, revocations and console links.  See docs/console_api.rst."""
