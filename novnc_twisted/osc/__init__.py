"""The plug-in of python-openstackclient: the commands ``openstack console ...``."""
