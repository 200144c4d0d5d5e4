"""Every parser under bytes that nobody planned: one harness for each, two drivers (docs/fuzzing.rst)."""
