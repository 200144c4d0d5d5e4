"""The demo: a real VM and every service of novnc_twisted on loopback, started by ``make demo``."""
