"""The commands ``nova-novncproxy`` and ``nova-xvpvncproxy``, which start our proxies with nova's command lines.

The options are those of nova's command line (nova/cmd/novncproxy.py, nova/conf/novnc.py, nova/conf/vnc.py, and
oslo.log), and a few others, such as ``--check-config``.  oslo.config's rules decide which configuration files are read,
and in which order.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from oslo_config import cfg

from novnc_twisted._version import __version__
from novnc_twisted.service.exits import Unusable, end_by_signals, prepare_exit, refuse
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.folders import is_folder
from novnc_twisted.service.nova_script_options import FLAGS, IGNORED, IGNORED_FLAGS, REFUSED, VALUES


class _Parser(argparse.ArgumentParser):
    """A parser that raises errors.  argparse's own parser prints its usage and exits with code 2."""

    def error(self, message: str) -> NoReturn:
        """See ArgumentParser."""
        raise Unusable(f"{message}; see --help")


class CommandLine:
    """The parsed command line of one of the two commands.

    :ivar sources: the configuration files, and the options of the command line; later ones override earlier ones.
        The default files come first, then the default folders, and then the command line in its order.
    :ivar ignored: options of nova on the command line that have no effect here.
    :ivar check_only: whether only the configuration is to be checked.
    """

    def __init__(self, program: str, arguments: Sequence[str]) -> None:
        """Parse the command line.

        :param program: the name of the command.  Without ``--config-file``, ``nova.conf`` and ``PROGRAM.conf`` are
            read, if they exist.
        :raises Unusable: the command line has a mistake or a refused option, or names a folder that can't be used; the
            text is one line with the reason.
        :raises SystemExit: the command line has ``--help`` or ``--version``.
        """
        self.sources: list[str | FlagFile] = []
        self.ignored: list[str] = []
        words = [_hyphens(argument) for argument in arguments]
        given = {word.partition("=")[0] for word in words}
        if "--config-file" not in given:
            self.sources += cfg.find_config_files("nova", program)
        if "--config-dir" not in given:
            for folder in cfg.find_config_dirs("nova", program):
                if Path(folder).is_dir():
                    self._add_folder(folder)
        self.check_only = self._parser(program).parse_args(words).check_config

    @property
    def warnings(self) -> list[str]:
        """One warning about all options without effect; empty if there are none."""
        if not self.ignored:
            return []
        return [f"options of nova that have no effect here: {', '.join(dict.fromkeys(self.ignored))}"]

    def _parser(self, program: str) -> argparse.ArgumentParser:
        parser = _Parser(program, allow_abbrev=False, description="Options of nova's command that take effect here.")
        add = parser.add_argument
        add("--version", action="version", version=f"novnc_twisted {__version__}")
        file_help = "a file in nova.conf's format (may be repeated)"
        add("--config-file", action=_Call, to=self._add_file, metavar="PATH", help=file_help)
        add("--config-dir", action=_Call, to=self._add_folder, metavar="DIR", help="a folder with *.conf files")
        add("--check-config", action="store_true", help="only check the configuration")
        for option in VALUES:
            add(*option.names, action=_Call, to=partial(self._set, option.place), metavar="VALUE", help=option.help)
        for option in FLAGS:
            no = f"--no{option.names[0][2:]}"
            add(*option.names, action=_Call, to=partial(self._set, option.place, "true"), nargs=0, help=option.help)
            add(no, action=_Call, to=partial(self._set, option.place, "false"), nargs=0, help=f"not {option.names[0]}")
        for names in IGNORED:
            add(*names, action=_Call, to=partial(self._ignore, names[0]), help=argparse.SUPPRESS)
        for names in IGNORED_FLAGS:
            every = (*names, f"--no{names[0][2:]}")
            add(*every, action=_Call, to=partial(self._ignore, names[0]), nargs=0, help=argparse.SUPPRESS)
        for name, why in REFUSED.items():
            add(name, action=_Call, to=partial(_refuse, f"{name}: {why}"), nargs="?", help=argparse.SUPPRESS)
        # Neither set nor reported as ignored, because the program stays in the foreground in any case.
        add("--nodaemon", action="store_true", help=argparse.SUPPRESS)
        return parser

    def _add_file(self, path: str) -> None:
        self.sources.append(str(Path(path).expanduser()))

    def _add_folder(self, path: str) -> None:
        self.sources += _files_in(Path(path).expanduser())

    def _set(self, place: tuple[str, str], value: str) -> None:
        self.sources.append(FlagFile.of_command_line({place: value}))

    def _ignore(self, name: str, *_: str) -> None:
        self.ignored.append(name)


class _Call(argparse.Action):
    """Calls a function with the value of the option, or without an argument if the option has no value."""

    def __init__(self, option_strings: Sequence[str], dest: str, to: Callable[..., None], **more: Any) -> None:
        super().__init__(option_strings, dest, **more)
        self._to = to

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """See Action."""
        self._to(*([values] if isinstance(values, str) else []))


def _refuse(why: str, *_: str) -> None:
    raise Unusable(why)


def _hyphens(argument: str) -> str:
    """Replace underscores by hyphens in the name of an option: nova has ``--ssl_only``, oslo.log has ``--log-file``."""
    name, equals, value = argument.partition("=")
    return (name.replace("_", "-") if name.startswith("--") else name) + equals + value


def _files_in(folder: Path) -> list[str]:
    """Return the files that oslo.config reads in a folder, in the order of oslo.config.

    :raises Unusable: there is no such folder, or the path can't be examined.
    """
    if not is_folder(folder, "--config-dir"):
        raise Unusable(f"--config-dir {folder}: it is not a folder")
    return sorted(str(path) for path in folder.glob("[!.]*.conf"))


def novncproxy() -> None:
    """Run ``nova-novncproxy``."""
    main("nova-novncproxy", "novncproxy", sys.argv[1:])


def xvpvncproxy() -> None:
    """Run ``nova-xvpvncproxy``."""
    main("nova-xvpvncproxy", "xvpvncproxy", sys.argv[1:])


def main(program: str, command: str, arguments: Sequence[str]) -> None:
    """Run a command in the foreground until a signal ends it.

    :raises SystemExit: the command can't start, or an option asks for something else, such as ``--check-config`` or
        ``--help``.
    """
    end_by_signals()  # before the imports, which take longest
    prepare_exit()
    try:
        line = CommandLine(program, arguments)
        from novnc_twisted.service.make_service import check, make_service

        if line.check_only:
            raise SystemExit(check(command, line.sources, line.warnings))
        from novnc_twisted.service.collector import spare_the_start
        from novnc_twisted.service.foreground import run
        from novnc_twisted.service.log_output import output

        service = make_service(command, line.sources, line.warnings)
        service.observer, service.log_file = output(service.log_settings, sys.stdout)
    except Exception as error:
        refuse(program, error)
    from twisted.internet import reactor

    spare_the_start(reactor)
    run(service)
