"""The names of the scripts and style sheets, while an upgrade replaces them."""

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.portal.assets import Assets


class AssetsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def build(self, script: str) -> None:
        """Replace the list of names, as a build does at its end."""
        new = self.folder / "new"
        new.write_text(json.dumps({"script": script, "style": "assets/s.css"}))
        new.replace(self.folder / "list.json")

    def test_an_upgrade_before_the_restart(self) -> None:
        self.build("assets/list-1.js")
        assets = Assets(self.folder)
        self.assertEqual((assets.script, assets.style), ("assets/list-1.js", "assets/s.css"))
        self.build("assets/list-2.js")
        self.assertEqual(assets.script, "assets/list-2.js")

    def test_a_build_under_way(self) -> None:
        """While its list is missing or incomplete, the names of the previous build stay."""
        self.build("assets/list-1.js")
        assets = Assets(self.folder)
        self.assertEqual(assets.script, "assets/list-1.js")
        (self.folder / "list.json").unlink()
        self.assertEqual(assets.script, "assets/list-1.js")
        for text in ("{", "[]"):
            (self.folder / "list.json").write_text(text)
            self.assertEqual(assets.script, "assets/list-1.js")

    def test_without_a_build(self) -> None:
        self.assertEqual(Assets(self.folder).script, "")
