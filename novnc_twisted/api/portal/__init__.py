"""The pages below ``/console/``: a log-in, the list of servers, a page for each server, and an account page.

These pages work without scripts.  With scripts (novnc_twisted/web/src/list), the list shows live pictures of the
screens, and changes when servers change.  Only the page with several consoles side by side needs scripts.
"""
