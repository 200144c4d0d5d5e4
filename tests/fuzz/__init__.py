"""Fuzzing: a target for each parser of input from outside, and two drivers (docs/fuzzing.rst)."""
