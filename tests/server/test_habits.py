"""What clients have come to rely on beyond what the APIs' pages say: numbers that are true where a stream begins, names in errors, lists
that mix texts and token ids, the environment of llama-server."""
import json
import os
import unittest

from support import Asking, Server, main, sse_data, wait_until

USER = [{"role": "user", "content": "Name a colour."}]
THINKS = {"grammar": 'root ::= "<think>" ("la "){12} "</think>yes"', "temperature": 0}


def events(text):
    """(event, JSON) of a stream whose events have names."""
    out = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            out.append((lines["event"], json.loads(lines["data"])))
    return out


class Numbers(Asking):
    def test_thoughts_are_counted(self):
        counted = []
        whole = self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 100, **THINKS})
        self.assertEqual(whole["choices"][0]["message"]["content"], "yes")
        counted.append(whole["usage"])
        stream = sse_data(self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 100, "stream": True, "stream_options": {"include_usage": True}, **THINKS}))
        counted.append(stream[-2]["usage"])
        told = [(u["completion_tokens_details"]["reasoning_tokens"], u["completion_tokens"]) for u in counted]
        whole = self.ok("/v1/responses", {"input": USER, "max_output_tokens": 100, **THINKS})
        self.assertEqual([item["type"] for item in whole["output"]], ["reasoning", "message"])
        stream = events(self.ok("/v1/responses", {"input": USER, "max_output_tokens": 100, "stream": True, **THINKS}))
        told += [(u["output_tokens_details"]["reasoning_tokens"], u["output_tokens"]) for u in (whole["usage"], stream[-1][1]["response"]["usage"])]
        self.assertEqual(len(set(told)), 1, told)
        n_thoughts, n_tokens = told[0]
        self.assertGreaterEqual(n_thoughts, 12)
        self.assertLess(n_thoughts, n_tokens)
        cut = self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 10, **THINKS})["usage"]
        self.assertLessEqual(cut["completion_tokens_details"]["reasoning_tokens"], cut["completion_tokens"])
        plain = self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 3})["usage"]
        self.assertEqual(plain["completion_tokens_details"], {"reasoning_tokens": 0})

    def test_thoughts_may_stand_in_the_text_too(self):
        body = {"messages": USER, "max_tokens": 100, "logprobs": True, **THINKS}
        apart = self.ok("/v1/chat/completions", body)["choices"][0]
        thoughts = "la " * 12
        self.assertEqual((apart["message"]["content"], apart["message"]["reasoning_content"]), ("yes", thoughts))
        body["reasoning_format"] = "deepseek-legacy"
        both = self.ok("/v1/chat/completions", body)["choices"][0]
        self.assertEqual((both["message"]["content"], both["message"]["reasoning_content"]), (f"<think>{thoughts}</think>yes", thoughts))
        self.assertEqual(both["logprobs"], apart["logprobs"])
        choices = [c["choices"][0] for c in sse_data(self.ok("/v1/chat/completions", {**body, "stream": True})) if c != "[DONE]"]
        for field in ("content", "reasoning_content"):
            self.assertEqual("".join(c["delta"].get(field) or "" for c in choices), both["message"][field])
        self.assertEqual([e for c in choices if c["logprobs"] for e in c["logprobs"]["content"]], both["logprobs"]["content"])
        self.refused("/v1/chat/completions", {**body, "reasoning_format": "deepseek-new"}, "reasoning_format")

    def test_a_stream_of_messages_begins_with_what_the_cache_had(self):
        body = {"messages": [{"role": "user", "content": "word " * 200}], "max_tokens": 3, "stream": True}
        for is_again in (False, True):
            told = events(self.ok("/v1/messages", body))
            self.assertEqual([name for name, _ in told][:2], ["message_start", "ping"])
            begun, ended = told[0][1]["message"]["usage"], told[-2][1]["usage"]
            for name in ("input_tokens", "cache_read_input_tokens"):
                self.assertEqual(begun[name], ended[name], name)
            self.assertEqual(begun["cache_read_input_tokens"] > 100, is_again, begun)
            self.assertEqual(begun["output_tokens"], 0)

    def test_a_seed_has_its_fingerprint(self):
        chat, text = self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 1}), self.ok("/v1/completions", {"prompt": "a", "max_tokens": 1})
        self.assertTrue(chat["system_fingerprint"])
        self.assertEqual(chat["system_fingerprint"], text["system_fingerprint"])

    def test_errors_of_messages_have_the_requests_name(self):
        status, headers, reply = self.server.post("/v1/messages", {"messages": [], "max_tokens": 1})
        self.assertEqual((status, reply["request_id"]), (400, headers["request-id"]))
        self.assertIn("use_beam_search", self.ok("/v1/messages", {"messages": USER, "max_tokens": 1, "use_beam_search": True}, 400)["error"]["message"])


class Lists(Asking):
    def test_texts_and_tokens_in_one_prompt(self):
        ids = self.ok("/tokenize", {"content": " of France"})["tokens"]
        text = "The capital of France is"
        mixed = ["The capital", *ids, " is"]
        for path, body in (("/v1/completions", {"max_tokens": 4, "temperature": 0}), ("/completion", {"n_predict": 4, "temperature": 0})):
            whole, parts = (self.ok(path, {**body, "prompt": prompt}) for prompt in (text, [mixed] if path == "/completion" else [mixed]))
            parts = parts[0] if isinstance(parts, list) else parts
            tell = (lambda r: r["choices"][0]["text"]) if path == "/v1/completions" else (lambda r: r["content"])
            self.assertEqual(tell(whole), tell(parts), path)
        one, several = self.ok("/v1/embeddings", {"input": [*ids, " is"]}), self.ok("/v1/embeddings", {"input": [[*ids, " is"], " of France is"]})
        self.assertEqual(len(one["data"]), 1)
        self.assertEqual(len(several["data"]), 2)
        self.assertEqual(one["data"][0]["embedding"], several["data"][0]["embedding"])
        self.refused("/v1/embeddings", {"input": [5, {}]}, "input[1]")
        self.refused("/v1/completions", {"prompt": [[5, "a", 1.5]]}, "prompt[0][2]")

    def test_a_bias_may_name_a_text(self):
        said = self.ok("/completion", {"prompt": "The capital of France is", "n_predict": 1, "temperature": 0})["content"]
        for bias in ({said: -1000}, [[said, False]]):
            self.assertNotEqual(self.ok("/completion", {"prompt": "The capital of France is", "n_predict": 1, "temperature": 0, "logit_bias": bias})["content"], said)
        self.refused("/v1/chat/completions", {"messages": USER, "logit_bias": {said: -100}}, "logit_bias")
        self.refused("/completion", {"prompt": "a", "logit_bias": {"99999999": 1}}, "logit_bias")


class Child(unittest.TestCase):
    """As programs start llama-server."""

    def test_the_environment_speaks_and_what_is_typed_counts(self):
        said = {"LLAMA_API_KEY": "a-key-of-mine", "LLAMA_ARG_CTX_SIZE": "300", "LLAMA_ARG_N_PARALLEL": "3", "LLAMA_ARG_ALIAS": "mine"}
        os.environ.update(said)
        try:
            server = Server(command=("llama-server", "-m", "SmolLM2-135M-Instruct.Q4_1", "--port", "0", "-c", "256"))
        finally:
            for name in said:
                del os.environ[name]
        self.addCleanup(server.stop)
        self.assertEqual(server.get("/props", token=False)[0], 401)
        server.token = "a-key-of-mine"
        props = server.get("/props")[2]
        self.assertEqual((props["default_generation_settings"]["n_ctx"], props["total_slots"], props["model_alias"]), (256, 3, "mine"))
        wait_until(lambda: f"server is listening on {server.url}\n" in server.log, what="the line that names the address")


class Begun(Asking):
    """An answer that is gone on with, where the template opens a block of thoughts by itself."""
    opens = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n<think>{{ '\\n' }}"

    @classmethod
    def setUpClass(cls):
        cls.server = Server(command=("llama-server", "-m", "SmolLM2-135M-Instruct.Q4_1", "--port", "0", "-c", "512", "--chat-template", cls.opens))

    def prompt(self, **begun):
        return self.ok("/apply-template", {"messages": [*USER, {"role": "assistant", **begun}]})["prompt"].rpartition("assistant\n")[2]

    def test_words_and_thoughts_stand_where_they_belong(self):
        self.assertEqual(self.prompt(content="Red, or"), "<think>\n\n</think>\n\nRed, or")
        self.assertEqual(self.prompt(content="", reasoning_content="Red is"), "<think>\nRed is")
        self.assertEqual(self.prompt(content="Red, or", reasoning_content="Red is one."), "<think>\nRed is one.\n</think>\n\nRed, or")
        self.assertEqual(self.prompt(content="<think>\nRed is"), "<think>\nRed is")

    def test_what_comes_next_is_of_the_same_kind(self):
        for begun, kind in (({"content": "Red, or"}, "content"), ({"content": "", "reasoning_content": "Red is"}, "reasoning_content"),
                            ({"content": "Red, or", "reasoning_content": "Red is one."}, "content"), ({"content": "<think>\nRed is"}, "reasoning_content")):
            body = {"messages": [*USER, {"role": "assistant", **begun}], "max_tokens": 6, "temperature": 0, "ignore_eos": True}
            message = self.ok("/v1/chat/completions", body)["choices"][0]["message"]
            self.assertEqual([k for k in ("content", "reasoning_content") if message.get(k)], [kind], (begun, message))
            deltas = [e["choices"][0]["delta"] for e in sse_data(self.ok("/v1/chat/completions", {**body, "stream": True})) if e != "[DONE]"]
            self.assertEqual("".join(d.get(kind) or "" for d in deltas), message[kind])
        claude = [*USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "Red is one.", "signature": ""}, {"type": "text", "text": "Red, or"}]}]
        self.assertEqual([b["type"] for b in self.ok("/v1/messages", {"messages": claude, "max_tokens": 6, "ignore_eos": True})["content"]], ["text"])

    def test_a_schema_holds_behind_the_words(self):
        body = {"messages": [*USER, {"role": "assistant", "content": "Is red warm?"}], "max_tokens": 20, "json_schema": {"type": "boolean"}}
        self.assertIn(self.ok("/v1/chat/completions", body)["choices"][0]["message"]["content"], ("true", "false"))


if __name__ == "__main__":
    main()
