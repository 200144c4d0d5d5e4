"""The connection to the VNC server: where it may be, how it is dialled, TLS inside VeNCrypt, and why it was lost."""
