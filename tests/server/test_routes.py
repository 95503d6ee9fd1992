"""llama.cpp's and Ollama's routes, and the twin of llama-server."""
import contextlib
import json
import subprocess
import tempfile
import unittest

from support import PATIENCE, WATRA, Server, main, sse_data, wait_until


class LlamaCpp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--ctx", "512", "--parallel", "3")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_props_slots_metrics(self):
        props = self.server.get("/props")[2]
        self.assertEqual(props["default_generation_settings"]["n_ctx"], 512)
        self.assertEqual(props["total_slots"], 3)
        self.assertIn("im_start", props["chat_template"])
        self.assertEqual(len(self.server.get("/slots")[2]), 3)
        wait_until(lambda: self.server.metric("requests_processing") == 0, what="the end of what was asked before")

    def test_tokens_there_and_back(self):
        text = "Zażółć gęślą jaźń 🎉"
        tokens = self.server.post("/tokenize", {"content": text})[2]["tokens"]
        self.assertTrue(all(isinstance(t, int) for t in tokens))
        self.assertEqual(self.server.post("/detokenize", {"tokens": tokens})[2]["content"], text)
        pieces = self.server.post("/tokenize", {"content": "a b", "with_pieces": True})[2]["tokens"]
        self.assertEqual("".join(p["piece"] for p in pieces), "a b")
        for bad, place in (([-1], "tokens[0]"), ([5, 10**9], "tokens[1]"), (["x"], "tokens[0]"), (None, "tokens")):
            self.assertEqual(self.server.post("/detokenize", {"tokens": bad})[2]["error"]["param"], place)

    def test_completion(self):
        body = {"prompt": "The capital of France is", "n_predict": 8, "temperature": 0, "n_probs": 2}
        whole = self.server.post("/completion", body)[2]
        self.assertIn("Paris", whole["content"])
        self.assertEqual((whole["stop"], whole["stop_type"], whole["tokens_predicted"]), (True, "limit", 8))
        self.assertEqual(len(whole["completion_probabilities"][0]["top_logprobs"]), 2)
        parts = sse_data(self.server.post("/completion", {**body, "stream": True})[2])
        self.assertEqual("".join(p["content"] for p in parts), whole["content"])
        self.assertTrue(parts[-1]["stop"])
        word = self.server.post("/completion", {**body, "stop": ["Paris"]})[2]
        self.assertEqual((word["stop_type"], word["stopping_word"]), ("word", "Paris"))

    def test_infill_needs_a_model_for_it(self):
        has = self.server.post("/tokenize", {"content": "<|fim_prefix|>"})[2]["tokens"]
        status = self.server.post("/infill", {"input_prefix": "def f():\n", "input_suffix": "\n", "n_predict": 4})[0]
        self.assertEqual(status, 200 if len(has) == 1 else 501)

    def test_negative_numbers_are_refused(self):  # CVE-2026-21869 and its kind
        for name, value in (("n_predict", -5), ("n_probs", -1), ("n_probs", 10**9), ("repeat_last_n", -7), ("seed", -9), ("n_keep", -3),
                            ("n_discard", -4), ("id_slot", -99)):
            status, _, body = self.server.post("/completion", {"prompt": "a", "n_predict": 1, name: value})
            self.assertEqual((status, body["error"]["param"]), (400, name))


class Ollama(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_lists(self):
        tag = self.server.get("/api/tags")[2]["models"][0]
        self.assertEqual((tag["name"], tag["details"]["quantization_level"]), ("smollm2:latest", "Q4_1"))
        self.assertIn("version", self.server.get("/api/version")[2])
        self.assertEqual(self.server.get("/api/ps")[2]["models"][0]["model"], "smollm2:latest")
        shown = self.server.post("/api/show", {"model": "smollm2"})[2]
        self.assertEqual(shown["model_info"]["llama.context_length"], 8192)
        self.assertEqual(self.server.post("/api/show", {"model": "none"})[0], 404)

    def test_chat_and_generate(self):
        options = {"num_predict": 8, "temperature": 0}
        messages = [{"role": "user", "content": "Name a colour."}]
        whole = self.server.post("/api/chat", {"model": "smollm2:latest", "messages": messages, "stream": False, "options": options})[2]
        self.assertTrue(whole["done"])
        _, headers, text = self.server.post("/api/chat", {"model": "smollm2", "messages": messages, "options": options})
        self.assertEqual(headers["content-type"], "application/x-ndjson")
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual("".join(x["message"]["content"] for x in lines), whole["message"]["content"])
        self.assertEqual((lines[-1]["done"], lines[-1]["done_reason"]), (True, whole["done_reason"]))
        self.assertGreater(lines[-1]["eval_duration"], 0)
        said = self.server.post("/api/generate", {"model": "smollm2", "prompt": "Name a colour.", "stream": False, "options": options})[2]
        self.assertEqual(said["response"], whole["message"]["content"])
        raw = self.server.post("/api/generate", {"prompt": "The capital of France is", "raw": True, "stream": False, "options": options})[2]
        self.assertIn("Paris", raw["response"])
        self.assertEqual(self.server.post("/api/generate", {"model": "smollm2"})[2]["done_reason"], "load")

    def test_embed(self):
        r = self.server.post("/api/embed", {"model": "smollm2", "input": ["a", "b"]})[2]
        self.assertEqual([len(v) for v in r["embeddings"]], [576, 576])
        self.assertEqual(len(self.server.post("/api/embeddings", {"prompt": "a"})[2]["embedding"]), 576)

    def test_errors_are_texts(self):
        for body in ({"model": "none", "messages": [{"role": "user", "content": "x"}]}, {"messages": [{"role": "x", "content": ""}]},
                     {"messages": [{"role": "user", "content": "x"}], "format": "yaml"},
                     {"messages": [{"role": "user", "content": "x"}], "options": {"temperature": -1}}):
            status, _, reply = self.server.post("/api/chat", body)
            self.assertIn(status, (400, 404))
            self.assertIsInstance(reply["error"], str)


class Thinking(unittest.TestCase):
    """How much to think reaches the template by each API's own word for it."""

    @classmethod
    def setUpClass(cls):
        template = ("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}[{{ enable_thinking }}|{{ reasoning_effort }}]"
                    "{% if enable_thinking is defined and not enable_thinking %}{{ '-' * 40 }}{% endif %}")
        cls.server = Server(command=("llama-server", "-m", "SmolLM2-135M-Instruct.Q4_1", "--port", "0", "-c", "512", "--chat-template", template))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def prompt(self, **fields):
        status, _, reply = self.server.post("/apply-template", {"messages": [{"role": "user", "content": "a"}], **fields})
        self.assertEqual(status, 200, reply)
        return reply["prompt"].split("[")[1].split("]")[0]

    def test_words_for_it(self):
        self.assertEqual(self.prompt(), "|")
        self.assertEqual(self.prompt(reasoning_effort="high"), "True|high")
        self.assertEqual(self.prompt(reasoning_effort="none"), "False|")
        self.assertEqual(self.prompt(reasoning={"effort": "low"}), "True|low")
        self.assertEqual(self.prompt(thinking={"type": "enabled", "budget_tokens": 2048}), "True|")
        self.assertEqual(self.prompt(thinking={"type": "disabled"}), "False|")
        self.assertEqual(self.prompt(thinking={"type": "between_tools"}), "True|")
        self.assertEqual(self.prompt(output_config={"effort": "low"}), "True|low")
        self.assertEqual(self.prompt(enable_thinking=False), "False|")
        self.assertEqual(self.prompt(enable_thinking=True, chat_template_kwargs={"enable_thinking": False}), "False|")
        self.assertEqual(self.prompt(reasoning_effort="high", chat_template_kwargs={"enable_thinking": False}), "False|high")

    def test_every_route_obeys(self):
        user = [{"role": "user", "content": "a"}]
        for path, body, off, used in (
                ("/v1/chat/completions", {"messages": user, "max_tokens": 1}, {"reasoning_effort": "none"}, lambda r: r["usage"]["prompt_tokens"]),
                ("/v1/responses", {"input": "a", "max_output_tokens": 1}, {"reasoning": {"effort": "none"}}, lambda r: r["usage"]["input_tokens"]),
                ("/v1/messages", {"messages": user, "max_tokens": 1, "cache_prompt": False}, {"thinking": {"type": "disabled"}}, lambda r: r["usage"]["input_tokens"]),
                ("/api/chat", {"messages": user, "stream": False, "options": {"num_predict": 1}}, {"think": False}, lambda r: r["prompt_eval_count"]),
                ("/v1/chat/completions/input_tokens", {"messages": user}, {"reasoning_effort": "none"}, lambda r: r["input_tokens"]),
                ("/v1/responses/input_tokens", {"input": "a"}, {"reasoning": {"effort": "none"}}, lambda r: r["input_tokens"]),
                ("/v1/messages/count_tokens", {"messages": user}, {"thinking": {"type": "disabled"}}, lambda r: r["input_tokens"])):
            lengths = []
            for more in ({}, off):
                status, _, reply = self.server.post(path, {**body, **more})
                self.assertEqual(status, 200, reply)
                lengths.append(used(reply))
            self.assertGreater(lengths[1], lengths[0], path)

    def test_what_is_no_measure_is_refused(self):
        for path, fields, param in (("/v1/chat/completions", {"reasoning_effort": "very"}, "reasoning_effort"),
                                    ("/v1/chat/completions", {"reasoning_effort": 5}, "reasoning_effort"),
                                    ("/v1/responses", {"input": "a", "reasoning": {"effort": "very"}}, "reasoning.effort"),
                                    ("/v1/messages", {"max_tokens": 1, "thinking": {"type": "often"}}, "thinking.type"),
                                    ("/v1/messages", {"max_tokens": 1, "thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens"),
                                    ("/api/chat", {"think": "very"}, "think"), ("/api/chat", {"think": 1}, "think")):
            status, _, reply = self.server.post(path, {"messages": [{"role": "user", "content": "a"}], **fields})
            self.assertEqual(status, 400, reply)
            self.assertIn(param, json.dumps(reply))

    def test_a_prompt_is_counted_however_long(self):
        long = self.server.post("/v1/chat/completions/input_tokens", {"messages": [{"role": "user", "content": "word " * 900}]})[2]
        self.assertGreater(long["input_tokens"], 512)
        self.assertEqual(self.server.post("/v1/responses/input_tokens", {"input": "word " * 900})[2]["object"], "response.input_tokens")


class Counting(unittest.TestCase):
    def test_waits_for_no_answer(self):
        server = Server("--parallel", "1", "--ctx", "2048")
        self.addCleanup(server.stop)
        body = json.dumps({"prompt": "Once", "max_tokens": 1800, "ignore_eos": True, "stream": True}).encode()
        user = [{"role": "user", "content": "Name a colour."}]
        with contextlib.ExitStack() as stay:
            for _ in range(3):  # one is written, two wait for the only place
                s = stay.enter_context(server.connect())
                s.sendall(server.head("POST", "/v1/completions", body) + body)
            wait_until(lambda: server.metrics("requests_processing", "requests_deferred") == [1, 2],
                       what="one answer and two that wait")
            for path, ask in (("/v1/messages/count_tokens", {"messages": user}), ("/v1/chat/completions/input_tokens", {"messages": user}),
                              ("/v1/responses/input_tokens", {"input": user}), ("/tokenize", {"content": "a"}), ("/apply-template", {"messages": user})):
                status, _, reply = server.post(path, ask)
                self.assertEqual(status, 200, reply)
            self.assertEqual(server.n_requests(), 3)


class KeepAlive(unittest.TestCase):
    def test_a_model_is_put_away_and_comes_back(self):
        server = Server()
        try:
            for keep_alive in (0, "0", "0s"):
                self.assertEqual(server.post("/api/generate", {"model": "smollm2"})[2]["done_reason"], "load")
                self.assertEqual(len(server.get("/api/ps")[2]["models"]), 1)
                reply = server.post("/api/chat", {"model": "smollm2", "messages": [], "keep_alive": keep_alive})[2]
                self.assertEqual((reply["done"], reply["done_reason"]), (True, "unload"))
                self.assertEqual(server.get("/api/ps")[2]["models"], [])
            self.assertEqual(server.post("/api/generate", {"model": "smollm2", "keep_alive": 0})[2]["done_reason"], "unload")
            self.assertEqual(server.get("/api/ps")[2]["models"], [])
            unnamed = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]})
            self.assertEqual(unnamed[0], 404)
            self.assertIn("\"model\"", unnamed[2]["error"]["message"])
            self.assertEqual(server.post("/v1/completions", {"model": "smollm2", "prompt": "a", "max_tokens": 1})[0], 200)
            self.assertEqual(server.post("/api/generate", {"model": "none", "keep_alive": 0})[0], 404)
            for keep_alive in (-1, "-1", "5m", "1h30m", "1.5s", 300, None):
                status, _, reply = server.post("/api/generate", {"model": "smollm2", "keep_alive": keep_alive})
                self.assertEqual((status, reply.get("done_reason")), (400, None) if keep_alive == "-1" else (200, "load"), keep_alive)
            for keep_alive in ("x", "5", "5 m", "m", "", [], True, "1e3s"):
                status, _, reply = server.post("/api/generate", {"model": "smollm2", "prompt": "a", "keep_alive": keep_alive})
                self.assertEqual(status, 400, keep_alive)
                self.assertIn("keep_alive", reply["error"])
        finally:
            server.stop()


class Twin(unittest.TestCase):
    def test_flags_of_llama_server(self):
        model = "SmolLM2-135M-Instruct.Q4_1"
        server = Server(command=("llama-server", "-m", model, "--port", "0", "-c", "256", "-ngl", "99", "--flash-attn", "on",
                                 "--no-webui", "-np", "2", "--api-key", "a-key-of-mine", "--alias", "mine", "--rope-freq-base=10000"))
        try:
            server.token = "a-key-of-mine"
            self.assertEqual(server.get("/v1/models")[2]["data"][0]["id"], "mine")
            self.assertEqual(server.get("/props")[2]["default_generation_settings"]["n_ctx"], 256)
            self.assertEqual(server.get("/props", token=False)[0], 401)
            self.assertEqual(server.post("/completion", {"prompt": "a", "n_predict": 1})[0], 200)
        finally:
            server.stop()
        log = "".join(server.log)
        for flag in ("-ngl", "--flash-attn", "--rope-freq-base"):
            self.assertIn(flag, log)
        self.assertNotIn("--no-webui", log)  # it is so

    def test_one_model_by_every_name(self):
        model = "SmolLM2-135M-Instruct.Q4_1"
        server = Server(command=("llama-server", "-m", model, "--port", "0", "-c", "256", "--no-slots", "--reasoning-format", "none", "--host", "0.0.0.0",
                                 "--api-key", "k", "--ignore-eos", "-n", "7", "--no-prefill-assistant", "--logit-bias", "5+100"))
        try:
            server.host, server.token = "127.0.0.1", "k"
            for name in ("gpt-4o", "anything", "smollm2"):
                status, _, reply = server.post("/v1/chat/completions", {"model": name, "messages": [{"role": "user", "content": "hi"}], "logit_bias": {}})
                self.assertEqual((status, reply["model"], reply["usage"]["completion_tokens"]), (200, "smollm2", 7), reply)
            self.assertEqual(server.get("/slots")[0], 501)
            self.assertEqual(server.get("/v1/models", token=False)[0], 401)
            self.assertEqual(server.post("/completion", {"prompt": "a", "n_predict": 3, "return_tokens": True})[2]["tokens"], [5, 5, 5])
            said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Well"}]
            self.assertTrue(server.post("/apply-template", {"messages": said})[2]["prompt"].rstrip().endswith("<|im_start|>assistant"))
            self.assertEqual(server.post("/api/generate", {"model": "x", "keep_alive": 0})[2]["done_reason"], "unload")
            self.assertEqual(server.post("/completion", {"prompt": "a", "n_predict": 1})[0], 200)  # it comes back
        finally:
            server.stop()

    def test_flags_of_the_newest_one(self):
        model = "SmolLM2-135M-Instruct.Q4_1"
        server = Server(command=("llama-server", "-m", model, "--port", "0", "-c", "256", "--api-key", "one,two", "--temp", "-1", "-ctk", "bf16", "-ctv", "q5_1",
                                 "--control-vector-layer-range", "1", "2", "--samplers", "top_k;adaptive_p;temperature", "--mirostat", "1", "-l", "5-inf",
                                 "--reverse-prompt", "Paris", "--dry-sequence-breaker", "none", "-rea", "off", "--reasoning-effort", "low",
                                 "--spec-draft-n-max", "3", "--spec-type", "none", "--embd-normalize", "1", "-np", "1", "--load-mode", "mmap+mlock", "--log-jsonl"))
        try:
            for key, status in (("one", 200), ("two", 200), ("one,two", 401), ("three", 401)):
                server.token = key
                self.assertEqual(server.get("/v1/models")[0], status, key)
            server.token = "two"
            params = server.get("/props")[2]["default_generation_settings"]["params"]
            self.assertEqual([params[k] for k in ("temperature", "samplers", "mirostat", "stop", "n_predict", "ignore_eos")],
                             [0, ["top_k", "temperature"], 2, ["Paris"], -1, False])
            self.assertEqual(server.get("/v1/models")[2]["data"][0]["architecture"]["output_modalities"], ["text"])
            asked = {"prompt": "The capital of France is", "n_predict": 8, "mirostat": 0}
            self.assertEqual(server.post("/completion", asked)[2]["stopping_word"], "Paris")
            self.assertNotEqual(server.post("/completion", {**asked, "stop": []})[2]["stop_type"], "word")
            self.assertAlmostEqual(sum(map(abs, server.post("/embedding", {"content": "a"})[2][0]["embedding"][0])), 1, delta=1e-3)
            wait_until(lambda: server.get("/slots?fail_on_no_slot=1")[0] == 200, what="a place that is free")  # the last answer gives its own back
            body = json.dumps({"prompt": "a", "stream": True, "n_predict": 200, "ignore_eos": True, "stop": []}).encode()
            with server.connect() as s:
                s.sendall(server.head("POST", "/completion", body) + body)
                wait_until(lambda: server.get("/slots?fail_on_no_slot=1")[0] == 503, what="a place that is in use")
                self.assertEqual(server.get("/slots")[0], 200)
        finally:
            server.stop()
        log = "".join(server.log)
        for said in ("-ctk bf16 becomes f16", "-ctv q5_1 becomes q8_0", "without adaptive_p", "--mirostat 1 becomes 2", "--control-vector-layer-range means nothing"):
            self.assertIn(said, log)

    def test_answers_are_held_to_the_grammar_of_a_flag(self):
        model, sampled = "SmolLM2-135M-Instruct.Q4_1", {"n_predict": 40, "temperature": 1, "seed": 3}
        server = Server(command=("llama-server", "-m", model, "--port", "0", "-c", "256", "--grammar", 'root ::= "yes" | "no"', "--sampler-seq", "kt"))
        try:
            self.assertIn(server.post("/completion", {"prompt": "Is it?", **sampled})[2]["content"], ("yes", "no"))
            reply = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "Is it?"}]})[2]
            self.assertIn(reply["choices"][0]["message"]["content"], ("yes", "no"))
            own = server.post("/completion", {"prompt": "Is it?", "grammar": 'root ::= "maybe"', **sampled})[2]  # a request's goes before it
            self.assertEqual(own["content"], "maybe")
            self.assertEqual(server.get("/props")[2]["default_generation_settings"]["params"]["samplers"], ["top_k", "temperature"])
        finally:
            server.stop()
        server = Server(command=("llama-server", "-m", model, "--port", "0", "-c", "256", "-j", '{"enum": [1, 2]}'))
        try:
            self.assertIn(server.post("/completion", {"prompt": "Is it?", **sampled})[2]["content"], ("1", "2"))
        finally:
            server.stop()

    def test_keys_of_a_file(self):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write("# mine\nfirst\r\n\nsecond\n")
            f.flush()
            server = Server(command=("llama-server", "-m", "SmolLM2-135M-Instruct.Q4_1", "--port", "0", "-c", "256", "--api-key-file", f.name, "--api-key", "third"))
            try:
                for key, status in (("first", 200), ("second", 200), ("third", 200), ("# mine", 401), ("mine", 401)):
                    server.token = key
                    self.assertEqual(server.get("/v1/models")[0], status, key)
            finally:
                server.stop()

    def test_a_repository_is_not_fetched(self):
        run = lambda *words: subprocess.run([WATRA, "--home", "/nowhere", "llama-server", "--port", "0", *words], capture_output=True, text=True, timeout=PATIENCE)
        alone = run("-hf", "org/repo:Q4_K_M")
        self.assertNotEqual(alone.returncode, 0)
        self.assertIn("watra pull hf:org/repo/FILE.gguf", alone.stderr)
        both = run("-hf", "org/repo:Q4_K_M", "-hff", "none.gguf")
        self.assertNotEqual(both.returncode, 0)
        self.assertIn("none.gguf", both.stderr)

    def test_devices_are_listed(self):
        said = subprocess.run([WATRA, "llama-server", "--list-devices"], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
        self.assertEqual(said, "Available devices:\n")

    def test_help_lists_the_flags(self):
        text = subprocess.run([WATRA, "llama-server", "--help"], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
        for flag in ("--model", "--ctx-size", "--api-key", "--reasoning-format", "--no-slots", "--temp"):
            self.assertIn(flag, text)

    def test_flags_that_say_how_to_answer(self):
        model = "SmolLM2-135M-Instruct.Q4_1"
        template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ mood }}"
        server = Server(command=("llama-server", "-m", model, "--port", "0", "-c", "256", "--api-prefix", "/llm", "--alias", "mine,ours", "--temp", "0",
                                 "--top-k", "7", "--top-p", "0.5", "--min-p", ".25", "-s", "42", "--samplers", "top_k;temperature", "-n", "5",
                                 "--chat-template", template, "--chat-template-kwargs", '{"mood": "!"}', "--pooling", "last", "--no-cache-prompt",
                                 "--mirostat-ent", "4", "--reasoning-format", "deepseek-legacy", "--repeat-last-n", "-1", "--threads-http", "1", "--pooling=last", "--numa", "distribute"))
        try:
            self.assertEqual(server.get("/props")[0], 404)
            self.assertEqual(server.get("/health", token=False)[0], 404)
            self.assertEqual(server.get("/llm/health", token=False)[0], 200)
            for outside in ("/llmhealth", "/llm", "/v1/models", "/api/tags"):
                status, _, reply = server.get(outside)
                self.assertEqual(status, 404, outside)
                self.assertIn("under /llm", reply["error"]["message"] if isinstance(reply["error"], dict) else reply["error"])
            # What is unknown under it has the shape of its API.
            self.assertIsInstance(server.get("/llm/api/nowhere")[2]["error"], str)
            self.assertEqual(server.get("/llm/v1/messages/nowhere")[2]["type"], "error")
            props = server.get("/llm/props")[2]
            params = props["default_generation_settings"]["params"]
            self.assertEqual([params[k] for k in ("temperature", "top_k", "top_p", "min_p", "seed", "mirostat_tau", "repeat_last_n", "samplers")],
                             [0, 7, 0.5, 0.25, 42, 4, -1, ["top_k", "temperature"]])
            self.assertEqual(props["chat_template"], template)
            messages = [{"role": "user", "content": "hi"}]
            self.assertEqual(server.post("/llm/apply-template", {"messages": messages})[2]["prompt"], "<user>hi!")
            for name in ("mine", "ours", "ours:latest"):
                reply = server.post("/llm/v1/chat/completions", {"messages": messages, "model": name, "ignore_eos": True})[2]
                self.assertEqual((reply["model"], reply["usage"]["completion_tokens"]), ("mine", 5))
                self.assertEqual(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
            thinks = {"messages": messages, "max_tokens": 30, "grammar": 'root ::= "<think>hm</think>yes"'}
            said = server.post("/llm/v1/chat/completions", thinks)[2]["choices"][0]["message"]
            self.assertEqual((said["content"], said["reasoning_content"]), ("<think>hm</think>yes", "hm"))
            last = server.post("/llm/embedding", {"content": "a dog barks"})[2][0]["embedding"][0]
            other = server.post("/llm/embedding", {"content": "a cat barks"})[2][0]["embedding"][0]
            self.assertNotEqual(last, other)
        finally:
            server.stop()
        log = "".join(server.log)
        self.assertIn("--numa means nothing", log)
        for flag in ("--temp", "--alias", "--api-prefix", "--pooling", "-n ", "--no-cache-prompt"):
            self.assertNotIn(f"{flag} means nothing", log)

    def test_flags_with_values_that_cannot_be(self):
        for words in (("--temp", "x"), ("--temp", "9"), ("--port", "70000"), ("-np", "0"), ("--api-prefix", "llm/"), ("--chat-template-file", "/nowhere"),
                      ("--chat-template-kwargs", "5"), ("--ssl-cert-file", "a.pem"), ("word",), ("--host", "0.0.0.0"), ("--reasoning-format", "x"), ("--reasoning-format", "deepseek-new"), ("--logit-bias", "5"), ("--logit-bias", "5+nan"), ("-j", "{"), ("--grammar", "x ::= y"), ("--sampler-seq", "z"), ("--reasoning", "x"), ("-ctk", "q3"), ("--api-key-file", "/dev/null"),
                      ("--embd-normalize", "-2")):
            server = Server(command=("llama-server", "-m", "SmolLM2-135M-Instruct.Q4_1", "--port", "0", *words), wait=False)
            self.assertNotEqual(server.process.wait(PATIENCE), 0, words)
            server.stop()
            self.assertIn("error", "".join(server.log).lower())


if __name__ == "__main__":
    main()
