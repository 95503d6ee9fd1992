"""An encoder behind every door for vectors: the golden BERT, converted by `watra convert`, must give the reference's vectors over
OpenAI's, Ollama's and llama.cpp's routes, alone and in heaps, and say clearly what it cannot do."""
import base64
import concurrent.futures
import pathlib
import struct
import subprocess
import tempfile
import unittest

import ollama
import openai

from support import WATRA, Server, main

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
CONTEXT = 160
LONG = "the house by the river was quiet " * 60


def reference(name):
    """[(text, ids, {pooling: vector})] of tests/golden/NAME/encoded.bin."""
    data = (GOLDEN / name / "encoded.bin").read_bytes()
    magic, version, n_texts, d = struct.unpack_from("<4sIII", data)
    assert (magic, version) == (b"WGEN", 1)
    at, texts = 16, []

    def floats(n):
        nonlocal at
        at += 4 * n
        return list(struct.unpack_from(f"<{n}f", data, at - 4 * n))

    for _ in range(n_texts):
        n_bytes, n_tokens = struct.unpack_from("<II", data, at)
        text = data[at + 8:at + 8 + n_bytes].decode()
        at += 8 + n_bytes
        ids = list(struct.unpack_from(f"<{n_tokens}i", data, at))
        at += 4 * n_tokens
        floats(n_tokens * d)
        texts.append((text, ids, {pooling: floats(d) for pooling in ("mean", "first", "last")}))
    return texts


def differs(a, b):
    assert len(a) == len(b), (len(a), len(b))
    return max(abs(x - y) for x, y in zip(a, b))


class Encoder:
    """The same for each model: `name` is its golden folder, `pooling` what its modules.json says."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="watra-encoder-")
        path = pathlib.Path(cls.folder.name) / f"{cls.name}.gguf"
        subprocess.run([WATRA, "convert", str(GOLDEN / cls.name), str(path), "--outtype", "f32"], check=True,
                       stdout=subprocess.DEVNULL)
        cls.path = str(path)
        cls.server = Server(model=cls.path)
        cls.texts = [(text, ids, vectors[cls.pooling]) for text, ids, vectors in reference(cls.name)]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def ok(self, path, body):
        status, _, reply = self.server.post(path, body)
        self.assertEqual(status, 200, reply)
        return reply

    def refused(self, path, body, param, code=None):
        status, _, reply = self.server.post(path, body)
        self.assertEqual(status, 400, reply)
        if param:
            self.assertEqual(reply["error"]["param"], param)
        if code:
            self.assertEqual(reply["error"]["code"], code)
        return reply

    def test_vectors_of_texts_and_tokens(self):
        texts = [t for t in self.texts if t[0]]  # OpenAI refuses an empty text
        reply = self.ok("/v1/embeddings", {"input": [t[0] for t in texts], "model": self.name})
        self.assertEqual([d["index"] for d in reply["data"]], list(range(len(texts))))
        for data, (text, _, vector) in zip(reply["data"], texts):
            self.assertLess(differs(data["embedding"], vector), 1e-5, text)
        n_tokens = sum(len(ids) for _, ids, _ in texts)
        self.assertEqual(reply["usage"], {"prompt_tokens": n_tokens, "total_tokens": n_tokens})
        by_ids = self.ok("/v1/embeddings", {"input": [ids for _, ids, _ in texts]})
        self.assertEqual([d["embedding"] for d in by_ids["data"]], [d["embedding"] for d in reply["data"]])
        alone = self.ok("/v1/embeddings", {"input": texts[3][0]})["data"]
        self.assertEqual([d["embedding"] for d in alone], [reply["data"][3]["embedding"]])
        coded = self.ok("/v1/embeddings", {"input": texts[3][0], "encoding_format": "base64"})["data"][0]["embedding"]
        raw = base64.b64decode(coded)
        self.assertEqual(len(raw), 4 * len(texts[3][2]))
        self.assertLess(differs(struct.unpack(f"<{len(raw) // 4}f", raw), texts[3][2]), 1e-5)

    def test_dimensions(self):
        text, _, vector = self.texts[4]
        cut = self.ok("/v1/embeddings", {"input": text, "dimensions": 8})["data"][0]["embedding"]
        length = sum(x * x for x in vector[:8]) ** 0.5
        self.assertLess(differs(cut, [x / length for x in vector[:8]]), 1e-5)
        self.assertEqual(len(self.ok("/v1/embeddings", {"input": text, "dimensions": 48})["data"][0]["embedding"]), 48)
        for n in (0, 49, "8"):
            self.refused("/v1/embeddings", {"input": text, "dimensions": n}, "dimensions")

    def test_openai_and_ollama_clients(self):
        text, _, vector = self.texts[3]
        client = openai.OpenAI(base_url=self.server.url + "/v1", api_key=self.server.token, max_retries=0)
        found = client.embeddings.create(model=self.name, input=[text, "the"])  # as base64
        self.assertLess(differs(found.data[0].embedding, vector), 1e-5)
        with self.assertRaises(openai.BadRequestError) as e:
            client.embeddings.create(model=self.name, input=LONG)
        self.assertEqual((e.exception.code, e.exception.param), ("context_length_exceeded", "input"))
        with self.assertRaises(openai.BadRequestError) as e:
            client.chat.completions.create(model=self.name, messages=[{"role": "user", "content": "Hello"}])
        self.assertEqual((e.exception.code, e.exception.param), ("model_is_encoder", "model"))
        self.assertIn("/v1/embeddings", e.exception.message)
        daemon = ollama.Client(host=self.server.url, headers={"Authorization": f"Bearer {self.server.token}"})
        self.assertLess(differs(daemon.embed(model=self.name, input=text).embeddings[0], vector), 1e-5)
        self.assertEqual(daemon.show(self.name).capabilities, ["embedding"])
        with self.assertRaises(ollama.ResponseError):
            daemon.chat(model=self.name, messages=[{"role": "user", "content": "Hello"}])

    def test_other_doors(self):
        text, ids, vector = self.texts[4]
        reply = self.ok("/api/embed", {"model": self.name, "input": [text, "the"]})
        self.assertLess(differs(reply["embeddings"][0], vector), 1e-5)
        self.assertEqual(reply["prompt_eval_count"], len(ids) + len(self.texts[1][1]))
        self.assertLess(differs(self.ok("/api/embeddings", {"model": self.name, "prompt": text})["embedding"], vector), 1e-5)
        own = self.ok("/embedding", {"content": text})
        self.assertLess(differs(own[0]["embedding"][0], vector), 1e-5)
        listed = self.server.get("/v1/models")[2]["data"][0]
        self.assertEqual(listed["meta"]["capabilities"], ["embeddings"])
        self.assertEqual(listed["meta"]["n_ctx"], CONTEXT)

    def test_a_text_that_is_too_long(self):
        for path, body, field in (("/v1/embeddings", {"input": LONG}, "input"), ("/v1/embeddings", {"input": ["a", LONG]}, "input"),
                                  ("/embedding", {"content": LONG}, "content")):
            reply = self.refused(path, body, field, "context_length_exceeded")
            self.assertIn(str(CONTEXT), reply["error"]["message"])
        self.refused("/api/embed", {"input": LONG, "truncate": False}, None)
        # Cut, with the token that closes a text in its place.
        ids = self.ok("/tokenize", {"content": LONG, "add_special": True})["tokens"]
        cut = self.ok("/v1/embeddings", {"input": ids[:CONTEXT - 1] + ids[-1:]})["data"][0]["embedding"]
        for body in ({"input": LONG}, {"input": LONG, "truncate": True}):
            reply = self.ok("/api/embed", body)
            self.assertLess(differs(reply["embeddings"][0], cut), 1e-6)
            self.assertEqual(reply["prompt_eval_count"], CONTEXT)

    def test_what_writes_is_refused(self):
        user = [{"role": "user", "content": "Hello"}]
        for path, body in (("/v1/chat/completions", {"messages": user}), ("/v1/completions", {"prompt": "a"}), ("/completion", {"prompt": "a"}),
                           ("/v1/responses", {"input": "Hello"})):
            self.refused(path, body, "model", "model_is_encoder")
        self.refused("/v1/messages", {"messages": user, "max_tokens": 5, "model": self.name}, None)
        self.refused("/v1/messages/count_tokens", {"messages": user, "model": self.name}, None)
        for path in ("/api/chat", "/api/generate"):
            self.refused(path, {"messages": user, "prompt": "a"}, None)

    def test_heaps_from_many_clients(self):
        texts = [t for t in self.texts if t[0]]

        def ask(shift):
            mine = [texts[(i + shift) % len(texts)] for i in range(100)]
            data = self.server.post("/v1/embeddings", {"input": [t[0] for t in mine]})[2]["data"]
            return max(differs(d["embedding"], t[2]) for d, t in zip(data, mine))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertLess(max(pool.map(ask, range(8))), 1e-5)


class Bert(Encoder, unittest.TestCase):
    name, pooling = "bert", "first"

    def test_commands(self):
        def run(*args):
            done = subprocess.run([WATRA, *args], capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr

        code, out = run("show", self.path)
        self.assertEqual(code, 0, out)
        self.assertIn("an encoder", out)
        code, out = run("plan", self.path, "--hardware", "reference-pc")
        self.assertEqual(code, 0, out)
        self.assertIn("an encoder", out)
        code, out = run("run", self.path, "Hello")
        self.assertNotEqual(code, 0)
        self.assertIn("/v1/embeddings", out)


class NomicBert(Encoder, unittest.TestCase):
    name, pooling = "nomic-bert", "mean"


if __name__ == "__main__":
    main()
