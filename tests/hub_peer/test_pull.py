"""pull from hubs and addresses: what must hold when servers and lines misbehave."""

import json
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

from fake_hub import FakeHub, content
from support import HubTest

MIB = 1 << 20


class PullTest(HubTest):
    def setUp(self):
        super().setUp()
        self.hub = FakeHub()
        self.env["HF_ENDPOINT"] = self.hub.url
        self.env["NO_PROXY"] = "*"

    def tearDown(self):
        self.hub.close()
        super().tearDown()

    def gate(self, after):
        """For a file: what is sent stops at so many bytes until reopen()."""
        return {"gate": threading.Event(), "gate_after": after}

    def until_saved(self, file, n):
        """Lets more through until so many blocks are noted as whole: that is done when one has become so, at most every 0.2 s."""
        def noted():
            if self.blocks_saved() >= n:
                return True
            file.gate_after += MIB // 4
            time.sleep(0.25)
            return False
        self.wait_for(noted)

    def reopen(self, file):
        """After its program has ended: the lines that it left behind end too, and do not count."""
        file.gate.set()
        self.wait_for(lambda: self.hub.active == 0)
        self.hub.reset()

    def blocks_saved(self):
        path = self.models / ".parts/org/repo/m.gguf.state"
        return json.loads(path.read_text())["done"].count("1") if path.exists() else 0


class Good(PullTest):
    def test_a_file_from_the_hub_comes_whole_checked_and_in_parallel(self):
        data = content(12 * MIB)
        self.hub.add("org/repo", "m.gguf", data, chunk_delay=0.005)
        result = self.pull("hf:org/repo/m.gguf")
        self.assertPulled(result, "org/repo/m.gguf", data)
        self.assertTrue(result["verified"])
        self.assertGreaterEqual(self.hub.most_active, 3)
        self.assertLessEqual(self.hub.most_active, 4)

    def test_one_connection_when_asked_for_one(self):
        data = content(4 * MIB)
        self.hub.add("org/repo", "m.gguf", data, chunk_delay=0.005)
        self.assertPulled(self.pull("hf:org/repo/m.gguf", "connections=1"), "org/repo/m.gguf", data)
        self.assertEqual(self.hub.most_active, 1)

    def test_sizes_around_the_edges_of_blocks(self):
        for size in (5, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 4 * MIB + 3):
            data = content(size, seed=size)
            self.hub.add("org/repo", f"m{size}.gguf", data)
            self.assertPulled(self.pull(f"hf:org/repo/m{size}.gguf"), f"org/repo/m{size}.gguf", data)

    def test_a_second_pull_downloads_nothing(self):
        data = content(2 * MIB)
        self.hub.add("org/repo", "m.gguf", data)
        self.pull("hf:org/repo/m.gguf")
        self.hub.reset()
        again = self.pull("hf:org/repo/m.gguf")
        self.assertPulled(again, "org/repo/m.gguf", data)
        self.assertTrue(again["already_there"])
        self.assertLess(self.hub.served_bytes, 10)

    def test_a_file_without_receipt_is_believed_after_hashing_and_a_damaged_one_is_not(self):
        data = content(2 * MIB)
        self.hub.add("org/repo", "m.gguf", data)
        self.pull("hf:org/repo/m.gguf")
        shutil.rmtree(self.models / ".receipts")
        self.assertTrue(self.pull("hf:org/repo/m.gguf")["already_there"])
        path = self.models / "org/repo/m.gguf"
        path.write_bytes(data[:-1] + b"?")
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)

    def test_a_new_version_on_the_hub_replaces_the_old_one(self):
        self.hub.add("org/repo", "m.gguf", content(MIB, 1))
        self.pull("hf:org/repo/m.gguf")
        new = content(MIB, 2)
        self.hub.add("org/repo", "m.gguf", new)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", new)

    def test_a_revision_stands_beside_main(self):
        old, new = content(MIB, 1), content(MIB, 2)
        self.hub.add("org/repo", "m.gguf", new)
        self.hub.add("org/repo", "m.gguf", old, revision="v1.0")
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", new)
        self.assertPulled(self.pull("hf:org/repo/m.gguf@v1.0"), "org/repo@v1.0/m.gguf", old)

    def test_a_split_is_pulled_whole_by_any_of_its_parts(self):
        parts = [content(MIB, i) for i in (1, 2, 3)]
        for i, data in enumerate(parts):
            self.hub.add("org/repo", f"q/m-{i + 1:05}-of-00003.gguf", data)
        result = self.pull("hf:org/repo/q/m-00002-of-00003.gguf")
        self.assertEqual(len(result["files"]), 3)
        self.assertTrue(result["files"][0]["path"].endswith("m-00001-of-00003.gguf"))
        for i, data in enumerate(parts):
            self.assertPulled(result, f"org/repo/q/m-{i + 1:05}-of-00003.gguf", data)

    def test_a_mirror_that_tells_the_checksum_to_head_only(self):
        data = content(MIB)
        self.hub.add("org/repo", "m.gguf", data, linked_on_head_only=True)
        self.assertTrue(self.pull("hf:org/repo/m.gguf")["verified"])

    def test_a_hub_that_sends_the_file_itself(self):
        data = content(MIB)
        self.hub.add("org/repo", "m.gguf", data, direct=True, linked=False)
        result = self.pull("hf:org/repo/m.gguf")
        self.assertPulled(result, "org/repo/m.gguf", data)
        self.assertTrue(result["verified"])

    def test_a_plain_address_and_a_name_from_content_disposition(self):
        data = content(MIB)
        self.hub.add_plain("a%20b.gguf".replace("%20", " "), data)
        self.assertPulled(self.pull(self.hub.url + "/plain/a%20b.gguf?x=1"), "127.0.0.1/a b.gguf", data)
        self.hub.add_plain("download", data, headers={"Content-Disposition": "attachment; filename=\"named.gguf\""})
        result = self.pull(self.hub.url + "/plain/download")
        self.assertPulled(result, "127.0.0.1/named.gguf", data)
        self.assertFalse(result["verified"])

    def test_a_split_from_a_plain_address(self):
        for i in (1, 2):
            self.hub.add_plain(f"m-0000{i}-of-00002.gguf", content(MIB, i))
        result = self.pull(self.hub.url + "/plain/m-00001-of-00002.gguf")
        self.assertPulled(result, "127.0.0.1/m-00002-of-00002.gguf", content(MIB, 2))

    def test_no_ranges_no_length_is_one_stream(self):
        data = content(3 * MIB)
        self.hub.add("org/repo", "m.gguf", data, ranges=False, no_length=True)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)


class Misbehaving(PullTest):
    def test_cut_connections(self):
        data = content(8 * MIB)
        self.hub.add("org/repo", "m.gguf", data, cut_after=100_000)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)
        # What came before a cut is not asked for again.
        self.assertLess(self.hub.served_bytes, len(data) + 1000)

    def test_a_stream_without_ranges_that_is_cut_begins_anew(self):
        data = content(3 * MIB)
        self.hub.add("org/repo", "m.gguf", data, ranges=False, cut_after=MIB, cuts_left=2)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)

    def test_a_stream_that_is_always_cut_is_an_error_in_the_end(self):
        self.hub.add("org/repo", "m.gguf", content(3 * MIB), ranges=False, cut_after=MIB)
        self.assertFailed(self.pull("hf:org/repo/m.gguf"), "hub.cut")
        self.assertNothingInstalled()

    def test_a_server_that_stalls(self):
        data = content(2 * MIB)
        self.hub.add("org/repo", "m.gguf", data, stall_once=threading.Event())
        self.assertPulled(self.pull("hf:org/repo/m.gguf", "idle_ms=2000"), "org/repo/m.gguf", data)

    def test_wrong_checksum(self):
        f = self.hub.add("org/repo", "m.gguf", content(2 * MIB))
        f.sha256 = "ab" * 32
        self.assertFailed(self.pull("hf:org/repo/m.gguf"), "hub.checksum", "ab" * 32, "removed")
        self.assertNothingInstalled()
        self.assertNothingLeft()

    def test_a_size_the_storage_does_not_have(self):
        f = self.hub.add("org/repo", "m.gguf", content(2 * MIB), linked=False)
        f.direct = True
        f.headers = {"X-Linked-Size": "77"}
        self.assertFailed(self.pull("hf:org/repo/m.gguf"), "hub.protocol", "77")

    def test_trouble_on_the_servers_side_passes(self):
        data = content(2 * MIB)
        self.hub.add("org/repo", "m.gguf", data, hub_statuses=[(502, {}), (500, {})],
                     statuses=[(503, {}), (503, {}), (500, {})])
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)

    def test_too_many_requests_waits_as_long_as_asked(self):
        data = content(MIB)
        self.hub.add("org/repo", "m.gguf", data, hub_statuses=[(429, {"Retry-After": "1"})])
        start = time.monotonic()
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)
        self.assertGreater(time.monotonic() - start, 1)

    def test_too_many_requests_for_an_hour_is_reported(self):
        self.hub.add("org/repo", "m.gguf", content(MIB), hub_statuses=[(429, {"Retry-After": "3600"})] * 9)
        start = time.monotonic()
        self.assertFailed(self.pull("hf:org/repo/m.gguf"), "hub.rate_limited", "3600")
        self.assertLess(time.monotonic() - start, 60)

    def test_fewer_connections_where_fewer_are_allowed(self):
        data = content(6 * MIB)
        self.hub.add("org/repo", "m.gguf", data, max_parallel=2, chunk_delay=0.003)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)

    def test_a_signed_address_that_expires_is_found_anew(self):
        data = content(6 * MIB)
        self.hub.add("org/repo", "m.gguf", data, signature_uses=3)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)

    def test_the_file_changes_while_it_is_downloaded(self):
        new = content(6 * MIB, 2)
        f = self.hub.add("org/repo", "m.gguf", content(6 * MIB, 1))

        def change(file, request):
            if self.hub.served_bytes > 2 * MIB and file.data is not new:
                self.hub.add("org/repo", "m.gguf", new)
                file.__dict__.update(self.hub.files[("org/repo", "main", "m.gguf")].__dict__)

        f.on_body = change
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", new)

    def test_a_server_that_promises_ranges_and_then_sends_everything(self):
        data = content(2 * MIB)
        f = self.hub.add("org/repo", "m.gguf", data)

        def forget(file, request):
            file.ranges = request.headers.get("Range") == "bytes=0-0"

        f.on_body = forget
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)


class Resumed(PullTest):
    def test_kill_9_and_resume(self):
        data = content(16 * MIB)
        f = self.hub.add("org/repo", "m.gguf", data, **self.gate(5 * MIB))
        process = self.start("hf:org/repo/m.gguf")
        self.until_saved(f, 5)
        process.kill()
        process.communicate()
        self.assertNothingInstalled()
        self.reopen(f)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)
        self.assertLess(self.hub.served_bytes, 11 * MIB + 1000)  # blocks are 1 MiB; those that were whole are not asked for

    def test_ctrl_c_and_resume(self):
        data = content(16 * MIB)
        f = self.hub.add("org/repo", "m.gguf", data, **self.gate(4 * MIB))
        process = self.start("hf:org/repo/m.gguf")
        self.until_saved(f, 3)
        process.send_signal(signal.SIGINT)
        self.assertFailed(self.finish(process), "hub.cancelled", "goes on")  # though nothing comes any more
        self.reopen(f)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)
        self.assertLess(self.hub.served_bytes, 13 * MIB + 1000)

    def test_a_file_that_changed_between_begins_anew(self):
        f = self.hub.add("org/repo", "m.gguf", content(8 * MIB, 1), **self.gate(4 * MIB))
        process = self.start("hf:org/repo/m.gguf")
        self.until_saved(f, 1)
        process.kill()
        process.communicate()
        self.reopen(f)
        new = content(8 * MIB, 2)
        self.hub.add("org/repo", "m.gguf", new)
        self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", new)

    def test_damaged_state_is_no_state(self):
        data = content(4 * MIB)
        self.hub.add("org/repo", "m.gguf", data)
        parts = self.models / ".parts/org/repo"
        parts.mkdir(parents=True)
        for text in ("", "{", "[]", '{"kind":"ranges"}', '{"kind":7,"done":[]}', "\xff\xfe", '{"bytes":-1}' * 3):
            (parts / "m.gguf.state").write_text(text)
            (parts / "m.gguf.part").write_bytes(b"x" * len(data))
            self.assertPulled(self.pull("hf:org/repo/m.gguf"), "org/repo/m.gguf", data)
            (self.models / "org/repo/m.gguf").unlink()

    def test_two_at_once(self):
        data = content(4 * MIB)
        f = self.hub.add("org/repo", "m.gguf", data, **self.gate(MIB))
        first = self.start("hf:org/repo/m.gguf")
        self.wait_for(lambda: self.hub.served_bytes >= MIB)
        self.assertFailed(self.pull("hf:org/repo/m.gguf"), "hub.busy")
        f.gate.set()
        self.assertPulled(self.finish(first), "org/repo/m.gguf", data)

    def test_a_split_with_a_part_that_is_not_there_keeps_the_others(self):
        for i in (1, 2):
            self.hub.add("org/repo", f"m-0000{i}-of-00003.gguf", content(MIB, i))
        self.assertFailed(self.pull("hf:org/repo/m-00001-of-00003.gguf"), "hub.not_found")
        self.hub.add("org/repo", "m-00003-of-00003.gguf", content(MIB, 3))
        self.assertEqual(len(self.pull("hf:org/repo/m-00001-of-00003.gguf")["files"]), 3)


class Refused(PullTest):
    def test_no_such_file_names_those_there_are(self):
        self.hub.add("org/repo", "model-q4_k_m.gguf", content(MIB))
        self.hub.add("org/repo", "model-q8_0.gguf", content(MIB))
        result = self.pull("hf:org/repo/model-q4_k_s.gguf")
        self.assertFailed(result, "hub.not_found", "model-q4_k_m.gguf", "model-q8_0.gguf", "did you mean")

    def test_a_repository_asks_to_choose(self):
        self.hub.add("org/repo", "model-q4_k_m.gguf", content(MIB))
        self.hub.add("org/repo", "model-q8_0.gguf", content(MIB))
        result = self.pull("hf:org/repo")
        self.assertFailed(result, "hub.choose_file", "model-q4_k_m.gguf", "model-q8_0.gguf", "watra pull hf:org/repo/")
        self.assertNotIn("README", result["error"]["message"])
        self.assertFailed(self.pull("hf:org/nothing"), "hub.not_found")

    def test_gated(self):
        data = content(MIB)
        self.hub.add("org/repo", "m.gguf", data, token="hf_secret")
        self.assertFailed(self.pull("hf:org/repo/m.gguf"), "hub.gated", "HF_TOKEN")
        self.assertFailed(self.pull("hf:org/repo/m.gguf", HF_TOKEN="hf_wrong"), "hub.denied", "HF_TOKEN")
        self.hub.reset()
        self.assertPulled(self.pull("hf:org/repo/m.gguf", HF_TOKEN="hf_secret\n"), "org/repo/m.gguf", data)
        storage = [h for _, path, h in self.hub.log if path.startswith("/storage/")]
        self.assertTrue(storage)
        self.assertFalse([h for h in storage if "Authorization" in h], "the token went to another host")

    def test_the_token_does_not_go_to_other_addresses(self):
        other = FakeHub()
        other.add_plain("m.gguf", content(MIB))
        self.pull(other.url + "/plain/m.gguf", HF_TOKEN="hf_secret")
        self.assertFalse([h for _, _, h in other.log if "Authorization" in h])
        other.close()

    def test_no_room(self):
        self.hub.add("org/repo", "m.gguf", content(2 * MIB))
        result = self.pull("hf:org/repo/m.gguf", f"free_bytes={17 * MIB}")
        self.assertFailed(result, "hub.no_space", "2.0 MiB", "17.0 MiB")
        self.assertLess(self.hub.served_bytes, 10)
        self.assertNotIn("error", self.pull("hf:org/repo/m.gguf", f"free_bytes={19 * MIB}"))

    def test_no_room_for_all_parts_is_found_before_the_first(self):
        for i in (1, 2):
            self.hub.add("org/repo", f"m-0000{i}-of-00002.gguf", content(12 * MIB, i))
        result = self.pull("hf:org/repo/m-00001-of-00002.gguf", f"free_bytes={20 * MIB}")
        self.assertFailed(result, "hub.no_space", "24.0 MiB")
        self.assertLess(self.hub.served_bytes, 10)

    def test_offline_is_said_at_once(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            closed = f"http://127.0.0.1:{s.getsockname()[1]}"
        start = time.monotonic()
        result = self.pull("hf:org/repo/m.gguf", HF_ENDPOINT=closed)
        self.assertLess(time.monotonic() - start, 60)
        self.assertFailed(result, "hub.unreachable", "network")
        self.assertFailed(self.pull("hf:org/repo/m.gguf", HF_ENDPOINT="http://no-such-host.invalid"), "hub.unreachable",
                          "no-such-host.invalid")

    def test_offline_a_file_that_is_here_is_here(self):
        self.hub.add("org/repo", "m.gguf", content(MIB))
        self.pull("hf:org/repo/m.gguf")
        self.assertTrue(self.pull("hf:org/repo/m.gguf", HF_ENDPOINT="http://127.0.0.1:1")["already_there"])

    def test_a_circle_of_redirects(self):
        self.hub.redirects["/plain/a.gguf"] = "/plain/b.gguf"
        self.hub.redirects["/plain/b.gguf"] = "a.gguf"
        self.assertFailed(self.pull(self.hub.url + "/plain/a.gguf"), "hub.redirect")

    def test_a_web_page_is_not_a_model(self):
        self.hub.add_plain("m.gguf", b"<html>" * 100, headers={"Content-Type": "text/html; charset=utf-8"})
        self.assertFailed(self.pull(self.hub.url + "/plain/m.gguf"), "hub.not_gguf", "web page")

    def test_names_that_would_leave_the_shelf(self):
        self.hub.add_plain("download", content(MIB), headers={"Content-Disposition": 'attachment; filename="../../evil.gguf"'})
        self.assertFailed(self.pull(self.hub.url + "/plain/download"), "hub.not_gguf")
        for name in ("hf:org/../m.gguf", "hf:org/repo/../../m.gguf", "hf:../repo/m.gguf", "hf:org/repo/m.gguf@../..",
                     "hf:org//m.gguf", "hf:org", "hf:", "hf:org/repo/a\\b.gguf", "hf:org/repo/m.gguf@"):
            self.assertFailed(self.pull(name), "hub.bad_reference")
        self.assertEqual({path for _, path, _ in self.hub.log}, {"/plain/download"}, "a bad name reached the server")

    def test_a_name_that_is_taken(self):
        self.hub.add_plain("m.gguf", content(MIB, 1))
        self.hub.add_plain("x/m.gguf", content(MIB, 2))
        self.pull(self.hub.url + "/plain/m.gguf")
        self.assertFailed(self.pull(self.hub.url + "/plain/x/m.gguf"), "hub.name_taken", "/plain/m.gguf", "watra rm")

    def test_unknown_names(self):
        self.assertFailed(self.pull("smollm3"), "hub.unknown_name", "did you mean smollm2")
        self.assertFailed(self.pull("qwen2.5-coder"), "hub.unknown_name", "did you mean qwen2.5-coder-")
        self.assertFailed(self.pull("ftp://host/m.gguf"), "hub.bad_url")

    def test_a_stupid_server(self):
        answers = [b"", b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
                   b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/-5\r\n\r\nG",
                   b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nG",
                   b"HTTP/1.1 302 Found\r\nLocation: http://\r\nContent-Length: 0\r\n\r\n",
                   b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n"]
        for answer in answers:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/m.gguf"
                process = self.start(url, "idle_ms=5000")
                listener.settimeout(0.2)
                while process.poll() is None:
                    try:
                        c, _ = listener.accept()
                        with c:
                            c.recv(4096)
                            c.sendall(answer)
                    except OSError:
                        pass
            result = self.finish(process)
            self.assertIn(result["error"]["code"], ("hub.protocol", "hub.cut", "hub.bad_url", "hub.unreachable"), answer[:40])
        self.assertNothingInstalled()


class Encrypted(PullTest):
    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.folder.name)
        self.certificate = (folder / "cert.pem", folder / "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", self.certificate[1], "-out", self.certificate[0], "-days", "2", "-subj", "/CN=watra-test",
                        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True)
        self.safe = FakeHub(certificate=self.certificate, storage_scheme="https")

    def tearDown(self):
        self.safe.close()
        super().tearDown()

    def test_an_unknown_authority_is_refused_and_a_known_one_is_trusted(self):
        data = content(2 * MIB)
        self.safe.add("org/repo", "m.gguf", data)
        self.assertFailed(self.pull("hf:org/repo/m.gguf", HF_ENDPOINT=self.safe.url), "hub.tls", "certificate")
        self.assertNothingInstalled()
        result = self.pull("hf:org/repo/m.gguf", HF_ENDPOINT=self.safe.url, SSL_CERT_FILE=str(self.certificate[0]))
        self.assertPulled(result, "org/repo/m.gguf", data)

    def test_a_certificate_for_another_name_is_refused(self):
        self.safe.add_plain("m.gguf", content(MIB))
        url = f"https://127.0.0.2:{self.safe.port}/plain/m.gguf"
        other = FakeHub(certificate=self.certificate, host="127.0.0.2")
        url = f"https://127.0.0.2:{other.port}/plain/m.gguf"
        self.assertFailed(self.pull(url, SSL_CERT_FILE=str(self.certificate[0])), "hub.tls")
        other.close()

    def test_never_from_encrypted_to_open(self):
        self.hub.add_plain("m.gguf", content(MIB))
        self.safe.redirects["/plain/m.gguf"] = self.hub.url + "/plain/m.gguf"
        result = self.pull(self.safe.url + "/plain/m.gguf", SSL_CERT_FILE=str(self.certificate[0]))
        self.assertFailed(result, "hub.redirect", "open")
        self.assertEqual(self.hub.log, [])

    def test_through_proxies(self):
        data = content(MIB)
        self.safe.add_plain("safe.gguf", data)
        self.hub.add_plain("open.gguf", data)
        proxy = FakeHub()
        proxy.files = self.hub.files
        self.env.pop("NO_PROXY")
        address = f"http://user:p%40ss@127.0.0.1:{proxy.port}"
        result = self.pull(self.safe.url + "/plain/safe.gguf", HTTPS_PROXY=address, SSL_CERT_FILE=str(self.certificate[0]))
        self.assertPulled(result, "127.0.0.1/safe.gguf", data)
        self.assertEqual({m for m, _, _ in proxy.log}, {"CONNECT"})
        self.assertEqual(proxy.log[0][2]["Proxy-Authorization"], "Basic dXNlcjpwQHNz")
        proxy.reset()
        self.assertPulled(self.pull(self.hub.url + "/plain/open.gguf", http_proxy=address), "127.0.0.1/open.gguf", data)
        self.assertTrue(proxy.log and all(p.startswith("http://127.0.0.1") for _, p, _ in proxy.log))
        proxy.close()


if __name__ == "__main__":
    unittest.main(verbosity=1)
