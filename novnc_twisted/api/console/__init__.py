"""The console API below ``/console/v1``: servers, sessions, links, tokens and more.  See docs/console_api.rst."""
