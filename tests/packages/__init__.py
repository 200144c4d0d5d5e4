"""Tests of the Debian package, the Ansible role and the images; ``make test-packages`` builds and runs them.

They are not part of ``make test``: the builds need six minutes and download 500 MB.
"""
