"""Tests of ``novnc_twisted.contract``."""
