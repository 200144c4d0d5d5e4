"""hypothesis without its limits of time, 200 ms for one example among them, which a busy machine exceeds."""

from hypothesis import HealthCheck, settings

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
