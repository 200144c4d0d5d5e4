"""The pages below ``/console/``: a log-in, the list of servers, a page for each server, and an account page.

These pages work without scripts.  With scripts, the list shows live pictures and follows events
(novnc_twisted/web/src/list).  Only the page with several consoles side by side needs scripts.
"""
