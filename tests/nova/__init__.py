"""Tests with a real Keystone, Placement and nova; ``make test-nova`` installs and starts them.

They are not part of ``make test``: the services need 450 MB of packages, 1 GB of memory and a minute to start.
"""
