"""The pages below ``/console/``: a log-in, the list of servers, and a page for each server.

They work without scripts.  With scripts, the list shows live pictures and follows events (novnc_twisted/web/list).
"""
