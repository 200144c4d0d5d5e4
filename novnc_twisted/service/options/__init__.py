"""The options of the configuration files.  A module with the name of a section defines the options of this section.

The module ``limits`` defines a part of [console].  The module ``api`` also defines [keystone_authtoken].

Options that nova also has keep nova's names and former names.

:mod:`novnc_twisted.service.options.table` puts all options into one table.  The sample file and parts of the documents
are generated from this table.  oslo.config's generator of the sample file gets the table from ``list_opts``.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"list_opts": "table"})
