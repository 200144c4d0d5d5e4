"""``make failures``: kill, stop and cut off each part of a cloud, and record what users notice."""
