"""The shelf: what is here and what it would do, folders of other programs, loading, downloading, jobs."""
import json
import os
import pathlib
import sys
import tempfile
import threading
import unittest

import contract
import support
from browser import Browser, quoted
from support import Server, main, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "hub_peer"))
from fake_hub import FakeHub  # noqa: E402

SMOLLM2 = next((support.TEST_HOME / "models").glob("*SmolLM2*.gguf"))

def over(page, job):
    find = lambda: next(j for j in page.ok("GET", "/jobs")["jobs"] if j["id"] == job["id"])
    wait_until(lambda: find()["state"] not in ("waiting", "running"), what=f"the end of {job['kind']}")
    return find()


class Shelf(unittest.TestCase):
    def setUp(self):
        self.server = Server(model=None)
        self.page = Browser(self.server).enter()

    def tearDown(self):
        self.server.stop()

    def model(self, name):
        return next(m for m in self.page.ok("GET", "/models")["models"] if m["id"] == name)

    def test_what_is_here_and_what_could_be(self):
        models = self.page.ok("GET", "/models")["models"]
        states = {m["id"]: m["state"] for m in models}
        self.assertEqual(states["smollm2"], "ready")
        for name in ("gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"):
            self.assertEqual(states[name], "absent")
        smollm2 = self.model("smollm2")
        self.assertEqual((smollm2["name"], smollm2["quant"], smollm2["n_layers"], smollm2["architecture"]), ("SmolLM2 135M", "Q4_1", 30, "llama"))
        self.assertEqual((smollm2["languages"]["pl"], smollm2["origin"], smollm2["chat"]), ("none", "shelf", True))
        self.assertIn("angielski", smollm2["about"]["pl"])
        self.assertEqual(self.model("qwen2.5-coder-1.5b")["languages"]["pl"], "some")
        self.assertIsNone(self.model("qwen2.5-coder-1.5b")["file"])
        self.assertEqual(self.model("qwen2.5-coder-1.5b")["n_layers"], 28)
        self.assertIsNone(smollm2["estimate"])  # nobody measured: no promise
        self.assertEqual(self.page.get("/models/smollm2/estimate")[2]["error"]["code"], "machine.not_measured")

    def test_load_and_unload_are_jobs_that_are_told(self):
        stream = self.page.events()
        job = self.page.ok("POST", "/models/smollm2/load", {"n_ctx": 2048, "kv_type": "q8_0"})
        self.assertEqual((job["kind"], job["subject"]), ("load", "smollm2"))
        self.assertEqual(over(self.page, job)["state"], "done")
        house = self.page.ok("GET", "/house")
        self.assertEqual((house["engine"]["state"], house["engine"]["model"], house["engine"]["n_ctx"]), ("ready", "smollm2", 2048))
        self.assertEqual(self.page.ok("GET", "/models")["models"][0]["state"], "loaded")
        wait_until(lambda: any(e["data"]["state"] == "loaded" for e in stream.of("model.changed")))
        self.page.mark(stream)
        for event in stream.of("model.changed"):
            contract.check_schema("Model", event["data"])
        told = [contract.check_schema("Job", e["data"]) for e in stream.of("job.changed")]
        self.assertEqual([told[0]["state"], told[-1]["state"]], ["running", "done"])
        self.assertEqual(over(self.page, self.page.ok("POST", "/models/smollm2/load", {}))["state"], "done")  # is here already
        over(self.page, self.page.ok("POST", "/models/smollm2/unload", {}))
        self.assertEqual(self.page.ok("GET", "/house")["engine"]["state"], "empty")
        self.assertEqual(self.model("smollm2")["state"], "ready")
        wait_until(lambda: stream.of("hearth.state")[-1]["data"]["state"] == "asleep", what="the word that the hearth is asleep")
        self.page.mark(stream)
        self.assertEqual([e["data"]["state"] for e in stream.of("engine.state")], ["loading", "ready", "empty"])
        stream.close()

    def test_counters_outlive_the_model(self):
        names = ("requests_total", "prompt_tokens_total", "tokens_predicted_total", "prompt_seconds_total", "tokens_predicted_seconds_total", "n_decode_total",
                 "pass_seconds_total", "n_tokens_max")
        ask = lambda: self.server.post("/v1/completions", {"model": "smollm2", "prompt": "One, two,", "max_tokens": 8, "temperature": 0, "cache_prompt": False})
        self.assertEqual(ask()[0], 200)
        told = lambda: self.server.metrics(*names)
        wait_until(lambda: all(value > 0 for value in told()), what="what is counted behind an answer's last word")
        first = told()
        over(self.page, self.page.ok("POST", "/models/smollm2/unload", {}))
        self.assertEqual(self.server.metrics(*names), first)
        over(self.page, self.page.ok("POST", "/models/smollm2/load", {"n_ctx": 1024}))
        self.assertEqual(self.server.metrics(*names), first)
        self.assertEqual(ask()[0], 200)
        wait_until(lambda: told()[:3] == [2 * value for value in first[:3]], what="twice of everything")
        second = told()
        self.assertTrue(all(a <= b for a, b in zip(first, second)))

    def test_what_cannot_be_loaded(self):
        self.assertEqual(self.page.post("/models/nobody/load", {})[2]["error"]["code"], "model.unknown")
        self.assertEqual(self.page.post("/models/gemma3-270m/load", {})[2]["error"]["code"], "model.absent")
        for body, param in (({"n_ctx": 255}, "n_ctx"), ({"n_ctx": 2**21}, "n_ctx"), ({"n_ctx": "x"}, "n_ctx"), ({"kv_type": "q2"}, "kv_type")):
            status, _, reply = self.page.post("/models/smollm2/load", body)
            self.assertEqual((status, reply["error"]["code"], reply["error"]["param"]), (400, "request.invalid", param), body)
        broken = self.server.home / "models" / "broken.gguf"
        broken.write_bytes(b"GGUF" + b"\xff" * 2000)
        self.assertEqual(self.model("broken")["state"], "broken")
        job = over(self.page, self.page.ok("POST", "/models/broken/load", {}))
        self.assertEqual(job["state"], "failed")
        self.assertTrue(job["error"]["code"] and job["error"]["message"])
        engine = self.page.ok("GET", "/house")["engine"]
        self.assertEqual((engine["state"], engine["model"]), ("error", None))

    def test_only_what_watra_downloaded_is_removed(self):
        self.assertIs(self.model("smollm2")["removable"], False)
        self.assertEqual(self.page.request("DELETE", "/models/smollm2")[2]["error"]["code"], "model.not_ours")  # a link somebody made
        self.assertTrue(SMOLLM2.exists())
        self.assertIs(self.model("qwen2.5-coder-0.5b")["removable"], False)  # is not here
        self.assertEqual(self.page.request("DELETE", "/models/nobody")[2]["error"]["code"], "model.unknown")

    def test_cancelling_what_is_not_there(self):
        self.assertEqual(self.page.post("/jobs/j_none/cancel")[2]["error"]["code"], "job.unknown")


class Estimates(unittest.TestCase):
    def test_an_estimate_is_a_plan(self):
        server = Server(model=None)
        try:
            page = Browser(server).enter()
            job = page.ok("POST", "/machine/measure", {})
            self.assertEqual(job["kind"], "measure")
            self.assertEqual(page.ok("POST", "/machine/measure", {})["id"], job["id"])  # one at a time
            self.assertEqual(over(page, job)["state"], "done")
            machine = page.ok("GET", "/machine")
            self.assertIs(machine["measured"], True)
            self.assertGreater(machine["ram"]["gb_s"], 0)
            self.assertIn("o 8 miliardach", machine["verdict"]["pl"])
            models = {m["id"]: m for m in page.ok("GET", "/models")["models"]}
            for name in ("smollm2", "qwen2.5-coder-1.5b"):  # also what is not downloaded yet
                estimate = models[name]["estimate"]
                self.assertEqual(sum(layer["n"] for layer in estimate["layers"]), models[name]["n_layers"])
                self.assertGreater(estimate["decode_tokens_per_s"], 0)
                drafts = estimate["with_drafts"]
                self.assertTrue(drafts is None or drafts["draft"] and drafts["tau"] >= 1 and drafts["decode_tokens_per_s"] > 0)
                self.assertEqual(estimate["placement"]["vram_bytes"], 0)
                self.assertGreater(sum(row["bytes"] for row in estimate["memory"]), 0)
            self.assertGreater(models["smollm2"]["estimate"]["decode_tokens_per_s"], models["qwen2.5-coder-1.5b"]["estimate"]["decode_tokens_per_s"])
            long = page.ok("GET", "/models/smollm2/estimate?n_ctx=8192&kv_type=q8_0")
            self.assertEqual((long["n_ctx"], long["kv_type"]), (8192, "q8_0"))
            for query in ("n_ctx=1", "n_ctx=x", "kv_type=q2"):
                self.assertEqual(page.get(f"/models/smollm2/estimate?{query}")[0], 400)
            self.what_was_measured(server, page)
            status, _, reply = page.post("/models/smollm2/load", {"n_ctx": 2**20})
            self.assertEqual((status, reply["error"]["code"]), (409, "engine.no_room"))
            self.assertTrue(reply["error"]["hint"])
        finally:
            server.stop()


    def what_was_measured(self, server, page):
        """Beside the plan stands what answers were like: not those of a few tokens, not those that repeat themselves."""
        def measured(wish=""):
            estimate = page.ok("GET", "/models/smollm2/estimate" + wish)
            return estimate["measured_answers"], estimate["measured_tokens_per_s"]

        def ask(**fields):
            body = {"model": "smollm2", "prompt": "Once upon a time there was", "max_tokens": 60, "ignore_eos": True, "temperature": 1.0, "seed": 7} | fields
            status, _, reply = server.post("/v1/completions", body)
            self.assertEqual(status, 200, reply)
            return reply["timings"]["predicted_per_second"]
        self.assertEqual(measured(), (0, None))
        ask(max_tokens=5)
        ask(prompt="tick tock " * 40, temperature=0, logit_bias={token: 100 for token in self.tokens(server, " tick tock")})
        speed = ask()
        wait_until(lambda: measured()[0] > 0, what="a speed that was measured")
        self.assertEqual(measured()[0], 1)
        self.assertAlmostEqual(measured()[1], speed, delta=0.2 * speed)
        self.assertEqual(measured("?kv_type=q8_0"), (0, None))  # nothing was asked with these
        speeds = [speed] + [ask(seed=seed, prompt=prompt) for seed, prompt in enumerate(["My grandmother used to", "The capital of Poland"])]
        wait_until(lambda: measured()[0] == 3, what="three answers")
        self.assertAlmostEqual(measured()[1], sorted(speeds)[1], delta=0.2 * max(speeds))
        shown = {m["id"]: m for m in page.ok("GET", "/models")["models"]}["smollm2"]["estimate"]
        self.assertEqual((shown["measured_answers"], shown["measured_tokens_per_s"]), measured())

    def tokens(self, server, text):
        return [str(token) for token in server.post("/tokenize", {"content": text})[2]["tokens"]]


class Folders(unittest.TestCase):
    def setUp(self):
        self.other = tempfile.TemporaryDirectory(prefix="watra-other-")
        self.folder = pathlib.Path(self.other.name)
        (self.folder / "org").mkdir()
        (self.folder / "org" / "SmolLM2-of-another-program.gguf").symlink_to(SMOLLM2.resolve())
        self.before = dict(os.environ)
        os.environ.update(HOME=str(self.folder / "home"), OLLAMA_MODELS=str(self.folder))
        for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE"):
            os.environ.pop(name, None)
        self.server = Server(model=None)
        self.page = Browser(self.server).enter()

    def tearDown(self):
        self.server.stop()
        os.environ.clear()
        os.environ.update(self.before)
        self.other.cleanup()

    def test_used_in_place_and_forgotten(self):
        suggestions = self.page.ok("GET", "/folders/suggestions")["suggestions"]
        self.assertIn((str(self.folder), "Ollama", 1), [(s["path"], s["program"], s["n_models"]) for s in suggestions])
        stream = self.page.events()
        folder = self.page.ok("POST", "/folders", {"path": str(self.folder) + "/"})
        self.assertEqual((folder["path"], folder["n_models"]), (str(self.folder), 1))
        self.assertEqual(self.page.ok("POST", "/folders", {"path": str(self.folder)})["id"], folder["id"])
        self.assertNotIn(str(self.folder), [s["path"] for s in self.page.ok("GET", "/folders/suggestions")["suggestions"]])
        shelf = self.page.ok("GET", "/models")
        self.assertEqual([f["id"] for f in shelf["folders"]], [folder["id"]])
        model = next(m for m in shelf["models"] if m["origin"] == "folder")
        self.assertEqual((model["id"], model["state"], model["removable"]), ("SmolLM2-of-another-program", "ready", False))
        wait_until(lambda: stream.of("model.changed"))
        # Programs find it too, and it is loaded where it lies.
        self.assertIn(model["id"], [m["id"] for m in self.server.get("/v1/models")[2]["data"]])
        self.assertEqual(over(self.page, self.page.ok("POST", f"/models/{quoted(model['id'])}/load", {}))["state"], "done")
        self.assertEqual(self.page.request("DELETE", f"/models/{model['id']}")[2]["error"]["code"], "model.busy")
        over(self.page, self.page.ok("POST", f"/models/{model['id']}/unload", {}))
        self.assertEqual(self.page.request("DELETE", f"/models/{model['id']}")[2]["error"]["code"], "model.not_ours")
        self.page.ok("DELETE", f"/folders/{folder['id']}")
        self.assertTrue((self.folder / "org" / "SmolLM2-of-another-program.gguf").exists())
        self.assertEqual(self.page.ok("GET", "/models")["folders"], [])
        wait_until(lambda: stream.of("model.removed"))
        self.assertEqual(stream.of("model.removed")[0]["data"], {"id": model["id"]})
        self.assertEqual(self.page.request("DELETE", f"/folders/{folder['id']}")[0], 404)
        stream.close()

    def test_what_is_no_folder(self):
        file = self.folder / "file"
        file.write_text("x")
        for path in ("relative/folder", str(self.folder / "none"), str(file), "", "/proc/1/mem"):
            status, _, reply = self.page.post("/folders", {"path": path})
            self.assertEqual((status, reply["error"]["code"], reply["error"]["param"]), (400, "request.invalid", "path"), path)


class Downloads(unittest.TestCase):
    def setUp(self):
        self.data = SMOLLM2.read_bytes()
        self.hub = FakeHub()
        self.before = dict(os.environ)
        os.environ["HF_ENDPOINT"] = self.hub.url
        self.server = Server(model=None)
        self.page = Browser(self.server).enter()

    def tearDown(self):
        self.server.stop()
        os.environ.clear()
        os.environ.update(self.before)
        self.hub.close()

    def serve(self, name="tiny.gguf", **options):
        return self.hub.add("org/repo", name, self.data, **options)

    def test_a_download_is_told_and_its_model_can_be_removed(self):
        self.serve()
        stream = self.page.events()
        job = self.page.ok("POST", "/downloads", {"name": "hf:org/repo/tiny.gguf"})
        self.assertEqual((job["kind"], job["subject"]), ("download", "tiny"))
        done = over(self.page, job)
        self.assertEqual((done["state"], done["progress"]), ("done", 1))
        self.assertEqual(pathlib.Path(done["result"]["path"]).read_bytes(), self.data)
        wait_until(lambda: any(e["data"]["id"] == "tiny" and e["data"]["state"] == "ready" for e in stream.of("model.changed")))
        model = next(m for m in self.page.ok("GET", "/models")["models"] if m["id"] == "tiny")
        self.assertEqual((model["origin"], model["removable"], len(model["sha256"])), ("shelf", True, 64))
        self.page.ok("DELETE", "/models/tiny")
        wait_until(lambda: stream.of("model.removed"))
        self.assertNotIn("tiny", [m["id"] for m in self.page.ok("GET", "/models")["models"]])
        stream.close()

    def test_cancelled_and_gone_on_with(self):
        self.data = SMOLLM2.read_bytes()[: 24 << 20]
        file = self.serve(gate=threading.Event(), gate_after=12 << 20)
        job = self.page.ok("POST", "/downloads", {"name": "hf:org/repo/tiny.gguf"})
        now = lambda: next(j for j in self.page.ok("GET", "/jobs")["jobs"] if j["id"] == job["id"])
        wait_until(lambda: now()["done_bytes"] > 8 << 20, what="whole blocks")
        self.assertEqual(self.page.ok("POST", "/downloads", {"name": "hf:org/repo/tiny.gguf"})["id"], job["id"])
        self.page.ok("POST", f"/jobs/{job['id']}/cancel", {})
        self.assertEqual(over(self.page, job)["state"], "cancelled")
        file.gate.set()
        wait_until(lambda: self.hub.active == 0, what="the end of the lines that were left")
        before = self.hub.served_bytes
        again = self.page.ok("POST", "/downloads", {"name": "hf:org/repo/tiny.gguf"})
        self.assertNotEqual(again["id"], job["id"])
        self.assertEqual(over(self.page, again)["state"], "done")
        self.assertLess(self.hub.served_bytes - before, len(self.data) - (3 << 20))  # blocks that were whole were kept

    def test_what_cannot_be_had(self):
        for name in ("nobody", "http://example.org/a.gguf", "https://example.org/a.zip", "hf:org", "hf:../..", "/etc/passwd"):
            status, _, reply = self.page.post("/downloads", {"name": name})
            self.assertEqual((status, reply["error"]["code"], reply["error"]["param"]), (404, "model.unknown", "name"), name)
        self.assertEqual(self.page.post("/downloads", {})[0], 400)
        job = over(self.page, self.page.ok("POST", "/downloads", {"name": "hf:org/repo/none.gguf"}))
        self.assertEqual(job["state"], "failed")
        self.assertTrue(job["error"]["message"])

    def test_ollamas_pull_streams_its_progress(self):
        self.serve()
        status, headers, text = self.server.post("/api/pull", {"model": "hf:org/repo/tiny.gguf"})
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual((status, headers["content-type"]), (200, "application/x-ndjson"))
        self.assertEqual([lines[0]["status"], lines[-1]["status"]], ["pulling manifest", "success"])
        self.assertEqual(self.server.post("/api/pull", {"name": "hf:org/repo/tiny.gguf", "stream": False})[2], {"status": "success"})
        self.assertIn("tiny:latest", [m["name"] for m in self.server.get("/api/tags")[2]["models"]])
        self.assertIsInstance(self.server.post("/api/pull", {"model": "nobody"})[2]["error"], str)
        self.assertEqual(self.server.post("/api/pull", {"model": "nobody"})[0], 404)

    def test_who_leaves_ollamas_pull_stops_it(self):
        self.data = SMOLLM2.read_bytes()[: 24 << 20]
        self.serve(gate=threading.Event(), gate_after=1 << 20)
        with self.server.connect() as s:
            body = json.dumps({"model": "hf:org/repo/tiny.gguf"}).encode()
            s.sendall(self.server.head("POST", "/api/pull", body) + body)
            s.recv(4096)
        wait_until(lambda: any(j["state"] == "cancelled" for j in self.page.ok("GET", "/jobs")["jobs"]))

    def test_the_end_does_not_wait_for_a_download(self):
        self.data = SMOLLM2.read_bytes()[: 24 << 20]
        self.serve(gate=threading.Event(), gate_after=1 << 20)  # it would never end
        self.page.ok("POST", "/downloads", {"name": "hf:org/repo/tiny.gguf"})
        wait_until(lambda: self.hub.served_bytes >= 1 << 20, what="the download")
        self.server.process.terminate()
        self.assertEqual(self.server.process.wait(support.PATIENCE), 0)


if __name__ == "__main__":
    main()
