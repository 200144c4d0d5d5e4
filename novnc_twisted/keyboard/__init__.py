"""Keyboards: which keys type a text on a layout, the names of keys, and their codes in Linux.  No I/O."""
