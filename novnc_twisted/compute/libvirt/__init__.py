"""The driver for libvirt, the only package that uses its Python binding."""
