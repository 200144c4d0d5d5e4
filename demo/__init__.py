"""The demo: real VMs and every service of novnc_twisted on loopback, started by ``make demo``."""
