"""The options: names, defaults and former names as in nova.conf, with a module for each section.

The generated sample and the documents are made from their table (oslo.config's generator finds it by ``list_opts``).
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"list_opts": "table"})
