"""watra pull, list and rm as CONTRACTS.md has them: one JSON object on standard output, exit codes, nothing else."""

import hashlib
import json
import pathlib
import struct
import subprocess
import unittest

import support
from fake_hub import FakeHub
from support import HubTest


def tiny_gguf(file_type=7):
    """A valid GGUF v3 with one tensor of 64 float32 values."""
    def string(s):
        return struct.pack("<Q", len(s)) + s.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    head += string("general.architecture") + struct.pack("<I", 8) + string("llama")
    head += string("general.file_type") + struct.pack("<II", 4, file_type)
    head += string("t.weight") + struct.pack("<IQIQ", 1, 64, 0, 0)
    head += b"\0" * (-len(head) % 32)
    return head + struct.pack("<64f", *range(64))


class Command(HubTest):
    def setUp(self):
        super().setUp()
        self.hub = FakeHub()
        self.env |= {"HF_ENDPOINT": self.hub.url, "NO_PROXY": "*", "WATRA_HOME": str(self.home)}

    def tearDown(self):
        self.hub.close()
        super().tearDown()

    def watra(self, *arguments, exit_code=0):
        r = subprocess.run([support.PROGRAM, *arguments, "--json"], env=self.env, capture_output=True, text=True, timeout=support.PATIENCE)
        self.assertEqual(r.returncode, exit_code, r.stdout + r.stderr)
        return json.loads(r.stdout)

    def test_pull_list_rm(self):
        data = tiny_gguf()
        self.hub.add("org/repo", "m.gguf", data)
        self.assertEqual(self.watra("list"), {"models": []})
        pulled = self.watra("pull", "hf:org/repo/m.gguf")
        self.assertEqual(pulled["bytes"], len(data))
        self.assertEqual(pulled["sha256"], hashlib.sha256(data).hexdigest())
        self.assertGreaterEqual(pulled["seconds"], 0)
        path = pathlib.Path(pulled["path"])
        self.assertEqual(path.read_bytes(), data)
        self.assertEqual(path, self.models / "org/repo/m.gguf")
        models = self.watra("list")["models"]
        self.assertEqual(models, [{"name": "org/repo/m", "path": str(path), "bytes": len(data), "quant": "Q8_0", "n_params": 64}])
        removed = self.watra("rm", "m")
        self.assertEqual(removed, {"removed": [str(path)], "bytes": len(data)})
        self.assertEqual([p for p in self.models.rglob("*") if p.is_file()], [])
        self.assertEqual(self.watra("list"), {"models": []})

    def test_names_lead_to_files(self):
        self.hub.add("org/repo", "m.gguf", tiny_gguf())
        path = self.watra("pull", "hf:org/repo/m.gguf")["path"]
        for name in (path, "m", "M", "m.gguf", "org/repo/m", "org/repo/m.gguf", "hf:org/repo/m.gguf"):
            self.assertEqual(self.watra("show", name)["n_params"], 64, name)

    def test_a_file_that_is_no_model_is_listed_with_its_problem(self):
        self.models.mkdir(parents=True)
        (self.models / "broken.gguf").write_bytes(b"GGUF")
        (self.models / "notes.txt").write_text("not listed")
        [model] = self.watra("list")["models"]
        self.assertEqual(model["name"], "broken")
        self.assertIn("broken.gguf", model["problem"])

    def test_rm_refuses_what_is_not_on_the_shelf(self):
        other = pathlib.Path(self.folder.name) / "mine.gguf"
        other.write_bytes(b"GGUF")
        self.models.mkdir(parents=True)
        self.assertEqual(self.watra("rm", str(other), exit_code=1)["error"]["code"], "hub.not_on_shelf")
        self.assertEqual(self.watra("rm", str(self.models / "../../mine.gguf"), exit_code=1)["error"]["code"], "hub.not_on_shelf")
        self.assertTrue(other.exists())
        self.assertEqual(self.watra("rm", "smollm2", exit_code=1)["error"]["code"], "hub.not_pulled")

    def test_errors(self):
        error = self.watra("pull", "hf:org/repo/none.gguf", exit_code=1)["error"]
        self.assertEqual(error["code"], "hub.not_found")
        self.assertTrue(error["message"] and error["hint"])
        self.assertEqual(self.watra("show", "smollm2", exit_code=1)["error"]["code"], "hub.not_pulled")
        error = self.watra("show", "smolm2", exit_code=1)["error"]
        self.assertEqual((error["code"], error["hint"]), ("hub.unknown_model", "did you mean smollm2?"))
        self.watra("pull", exit_code=2)

    def test_progress_is_not_in_pipes(self):
        self.hub.add("org/repo", "m.gguf", tiny_gguf())
        r = subprocess.run([support.PROGRAM, "pull", "hf:org/repo/m.gguf"], env=self.env, capture_output=True, text=True)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("m.gguf", r.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=1)
