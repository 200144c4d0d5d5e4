"""The take-over (SIGUSR2): a new process replaces the old one, and no connection is refused."""
