"""The tests."""

import os
from pathlib import Path

# hypothesis stores tables of Unicode and the constants of our code there, which cost 3 s of processor time for each
# process that makes them.  Its default is the current folder, and trial's is a new one in each run.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(__file__).resolve().parent.parent / ".hypothesis"))
