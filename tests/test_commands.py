"""Man pages and shell completion name exactly the options that the commands have."""

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service import redis_acl, reload
from novnc_twisted.service.commands import SERVICES
from novnc_twisted.service.nova_script import CommandLine

ROOT = Path(__file__).resolve().parent.parent
COMPLETION = ROOT / "contrib" / "completion"
MAN = ROOT / "docs" / "man"

COMMANDS: dict[str, Callable[[], object]] = {
    "nova-novncproxy": lambda: CommandLine("nova-novncproxy", ["--help"]),
    "novnc-reload": lambda: reload.main(["--help"]),
    "novnc-redis-acl": lambda: redis_acl.main(["--help"]),
}


def options(text: str) -> set[str]:
    """The long options in a text."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def of_command(name: str) -> set[str]:
    """The long options in a command's help."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        COMMANDS[name]()
    return options(out.getvalue().partition("options:")[2])


class CommandTests(SynchronousTestCase):
    def test_man_pages(self) -> None:
        for name in COMMANDS:
            described = set()
            for line in (MAN / f"{name}.rst").read_text().splitlines():
                if line.startswith("**-"):
                    described |= options(line.replace("*", " "))
            self.assertEqual(described, of_command(name), name)

    def test_bash(self) -> None:
        for name in [*COMMANDS, "nova-xvpvncproxy"]:
            script = f'. {COMPLETION}/novnc_twisted.bash; _novnc_twisted {name} -- x; echo "${{COMPREPLY[@]}}"'
            done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
            self.assertEqual(set(done.stdout.split()), of_command(name.replace("xvp", "no")), name)

    def test_bash_completes_paths_and_roles(self) -> None:
        for command, previous, word, wanted in (
            ("nova-novncproxy", "--config-file", str(ROOT / "pyproj"), str(ROOT / "pyproject.toml")),
            ("nova-novncproxy", "--web", str(ROOT / "contr"), str(ROOT / "contrib")),
            ("nova-novncproxy", "--novncproxy-port", "", ""),
            ("novnc-redis-acl", "novnc-redis-acl", "p", "proxy"),
        ):
            script = (
                f'. {COMPLETION}/novnc_twisted.bash; _novnc_twisted {command} "$1" {previous}; echo "${{COMPREPLY[@]}}"'
            )
            done = subprocess.run(["bash", "-c", script, "bash", word], capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout.strip(), wanted, (command, previous))

    def completed(self, *words: str) -> list[str]:
        """What bash offers for the last word of a command line."""
        quoted = " ".join(map(shlex.quote, words))
        script = (
            f". {COMPLETION}/novnc_twisted.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
            f"_novnc_twisted {words[0]} {shlex.quote(words[-1])} {shlex.quote(words[-2])}; "
            'echo "${COMPREPLY[@]}"'
        )
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()

    def test_bash_completes_twistd(self) -> None:
        """twistd's commands are completed, and after a command its options."""
        twistd = "/opt/novnc_twisted/bin/twistd"
        self.assertEqual(self.completed(twistd, "-n", ""), sorted(SERVICES))
        self.assertEqual(self.completed(twistd, "consolea"), ["consoleapi", "consoleauth"])
        self.assertIn("--nodaemon", self.completed(twistd, "--n"))
        options = set(self.completed(twistd, "-n", "console", "--"))
        self.assertEqual(options, {"--config-file", "--check-config", "--help", "--version"})
        self.assertEqual(self.completed(twistd, "console", ""), [])
        project = str(ROOT / "pyproject.toml")
        self.assertEqual(self.completed(twistd, "console", "--config-file", project[:-3]), [project])

    def test_zsh(self) -> None:
        """The file for zsh is checked as text, since the machine may have no zsh."""
        text = (COMPLETION / "_novnc_twisted").read_text()
        first, *cases = re.split(r"^([a-z| -]+)\)$", text, flags=re.M)
        self.assertTrue(first.startswith("#compdef "))
        self.assertEqual(len(cases[::2]), len(COMMANDS))
        for names, body in zip(cases[::2], cases[1::2], strict=True):
            for name in names.split(" | "):
                text = re.sub(r"\[[^]]*\]", "", body)  # without descriptions, such as "[not --debug]"
                described = options(re.sub(r"[{,*]", " ", text))
                self.assertEqual(described, of_command(name.strip().replace("xvp", "no")), name)
