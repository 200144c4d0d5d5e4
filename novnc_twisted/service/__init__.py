"""The ``twistd`` commands: options are read here, and only here, and the services are made from them."""
