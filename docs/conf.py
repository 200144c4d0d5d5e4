"""Configuration of the documents: ``make docs``, or ``sphinx-build -n -W -b html docs docs/_build/html``."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE / "_ext"), str(_HERE.parent)]

from novnc_twisted._version import __version__  # noqa: E402

project = "novnc_twisted"
author = "the novnc_twisted engineers"
copyright = author
release = version = __version__

extensions = ["sphinx.ext.autodoc", "myst_parser", "novnc_twisted_docs", "failures"]
exclude_patterns = ["_build", "_ext", "examples", "failures", "performance"]
nitpicky = True
nitpick_ignore_regex = [
    # Constants of modules, which the documents do not list.
    ("py:data", r"[\w.]*\.?[A-Z][A-Z_]+"),
    # Types of other projects, whose documents are not available to this build.
    ("py:.*", r"(twisted|zope|autobahn|oslo_config|collections)(\..*)?"),
    ("py:(attr|data)", r"(asks|done|error|rest|novnc_twisted\.rfb\.security\.\w+)"),
    ("py:.*", r"(Deferred|Factory|ServerFactory|IReactor\w*|Callable|Awaitable|Mapping|Generator)"),
]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
smartquotes = False
highlight_language = "text"

html_theme = "furo"
html_title = f"novnc_twisted {release}"
html_static_path: list[str] = []
html_theme_options = {"top_of_page_buttons": []}

_AUTHORS: list[str] = []
man_pages = [
    *(
        ("man/novnc_twisted", name, f"{what} of novnc_twisted, a command of twistd", _AUTHORS, 8)
        for name, what in (
            ("console", "all services"),
            ("consoleapi", "Compute API"),
            ("consoleauth", "tokens of consoles"),
            ("consolecompute", "service of a compute host"),
            ("novncproxy", "noVNC proxy"),
            ("xvpvncproxy", "XVP proxy"),
        )
    ),
    ("man/nova-novncproxy", "nova-novncproxy", "noVNC proxy with nova's options", _AUTHORS, 8),
    ("man/nova-novncproxy", "nova-xvpvncproxy", "XVP proxy with nova's options", _AUTHORS, 8),
    ("man/novnc-reload", "novnc-reload", "have a service read its files again", _AUTHORS, 8),
    ("man/novnc-redis-acl", "novnc-redis-acl", "make a Redis user for each role", _AUTHORS, 8),
]
