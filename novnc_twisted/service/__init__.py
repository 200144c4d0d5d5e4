"""The ``twistd`` commands: options are read here, and only here, and the parts are put together."""
