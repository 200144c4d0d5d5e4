"""The plug-in of python-openstackclient: ``openstack console session`` and ``openstack console history``."""
