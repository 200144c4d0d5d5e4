"""hypothesis without its limit of 200 ms for one example, which a busy machine exceeds."""

from hypothesis import settings

untimed = settings(deadline=None)
