import os
from pathlib import Path

# hypothesis caches Unicode tables and the constants of our code here; to make them takes 3 s of processor time.  By
# default, it caches them in the current folder, which is new in each run of trial.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(__file__).resolve().parent.parent / ".hypothesis"))
