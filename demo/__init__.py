"""The demo: one real VM and every service of novnc_twisted, on loopback, from ``make demo``."""
