"""The ``twistd`` commands.  Only this package reads options.  It makes the services from them."""
