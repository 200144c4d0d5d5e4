"""The users of an OpenStack: their Keystone tokens, and their log-ins at the list of servers."""
