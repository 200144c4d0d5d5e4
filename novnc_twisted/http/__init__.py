"""What every HTTP port has in common: response heads, and the answers to health checks.  No I/O."""
