"""Runs the service of a command in the foreground, as ``twistd -n`` does, but without a pid file."""

from twisted.logger import globalLogBeginner

from novnc_twisted.service.lifecycle import CommandService


def run(service: CommandService) -> None:
    """Start a service, and run the reactor until it is stopped.

    :param service: the service; its attribute ``observer`` gets the log.
    """
    from twisted.internet import reactor

    assert service.observer is not None
    globalLogBeginner.beginLoggingTo([service.observer])
    # As twistd does for the services of an application.
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    service.startService()
    reactor.run()
