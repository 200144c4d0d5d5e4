"""The search for secrets in the logs and outputs of a test run: it finds each form, and counts what it searched."""

import os
from pathlib import Path
from unittest import mock
from uuid import uuid4

from twisted.trial.unittest import SynchronousTestCase

from tests.support import handed_out


class SearchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        environment = mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        handed_out.begin(self.folder)
        self.secrets = [handed_out.secret(text) for text in (str(uuid4()), "pass/w%rd+", "s3cr3t!")]

    def test_nothing(self) -> None:
        handed_out.output("novncproxy", "novncproxy is ready\n")
        found, counts = handed_out.search(self.folder, [])
        self.assertEqual((found, counts), ([], {"secrets": 3, "files": 1, "bytes": 20}))

    def test_each_form_of_each(self) -> None:
        for text in self.secrets:
            for form in handed_out.forms(text):
                log = self.folder / "trial.log"
                log.write_bytes(b"\xff\0 before " + form + b" behind\n" * 3)
                (found,) = handed_out.search(self.folder, [log])[0]
                self.assertTrue(found.startswith(f"{log}: secret {sorted(self.secrets).index(text)} of "), found)
                self.assertNotIn(text, found)

    def test_what_a_service_printed(self) -> None:
        handed_out.output("consolecompute compute1", f"a line\ntoken={self.secrets[0]}\n")
        self.assertEqual(len(handed_out.search(self.folder, [])[0]), 1)

    def test_without_a_run(self) -> None:
        """Tests outside of a whole run write nothing."""
        del os.environ[handed_out.VARIABLE]
        self.assertEqual(handed_out.secret("short"), "short")
        handed_out.output("novncproxy", "x")
        self.assertEqual(handed_out.search(self.folder, [])[1]["files"], 0)

    def test_a_new_run_forgets(self) -> None:
        handed_out.begin(self.folder)
        self.assertEqual(handed_out.search(self.folder, [])[1], {"secrets": 0, "files": 0, "bytes": 0})
