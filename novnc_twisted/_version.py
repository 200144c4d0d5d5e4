"""The version, which is defined only here."""

__version__ = "26.11.0.dev0"
