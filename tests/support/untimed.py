"""hypothesis without its time limits, such as 200 ms for each example, which a busy machine exceeds."""

from hypothesis import HealthCheck, settings

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
