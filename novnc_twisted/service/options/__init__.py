"""The options of the configuration files.  Most modules define the options of one section.

Options that nova also has keep nova's names and former names.

The sample file and parts of the documents are generated from the table of options.  oslo.config's generator finds the
table by ``list_opts``.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"list_opts": "table"})
