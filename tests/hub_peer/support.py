"""What the suites share: a home that goes away, the program under test, waiting for a condition."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else "hub_probe"
PATIENCE = 600  # seconds after which what is waited for will never come, however busy the machine
KINDS = ("HF_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WATRA_", "XDG_", "SSL_CERT", "PIP_")


class HubTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="watra-hub-")
        self.home = pathlib.Path(self.folder.name) / "home"
        self.models = self.home / "models"
        self.env = {k: v for k, v in os.environ.items() if not k.upper().startswith(KINDS)}

    def tearDown(self):
        self.folder.cleanup()

    def start(self, *arguments, **env):
        return subprocess.Popen([PROGRAM, str(self.home), *map(str, arguments)], env={**self.env, **env},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process):
        out, err = process.communicate(timeout=PATIENCE)
        self.assertNotIn("runtime error", err)
        self.assertIn(process.returncode, (0, 1), err)
        return json.loads(out)

    def pull(self, *arguments, **env):
        return self.finish(self.start(*arguments, **env))

    def assertPulled(self, result, relative, data):
        self.assertNotIn("error", result)
        path = self.models / relative
        self.assertEqual(path.read_bytes(), data)
        self.assertIn(str(path), [f["path"] for f in result["files"]])
        self.assertNothingLeft()

    def assertFailed(self, result, code, *words):
        self.assertIn("error", result)
        self.assertEqual(result["error"]["code"], code, result["error"]["message"])
        text = result["error"]["message"] + " " + result["error"]["hint"]
        for word in words:
            self.assertIn(word, text)

    def assertNothingInstalled(self):
        found = [p for p in self.models.rglob("*.gguf")] if self.models.exists() else []
        self.assertEqual(found, [])

    def assertNothingLeft(self):
        """No unfinished download beside what was installed."""
        left = [p for p in (self.models / ".parts").rglob("*") if p.is_file() and p.suffix != ".lock"]
        self.assertEqual(left, [])

    def wait_for(self, condition):
        until = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), until, "it did not happen")
            time.sleep(0.02)
