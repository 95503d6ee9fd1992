"""Anthropic's Messages API through Anthropic's own client."""
import json
import unittest

import anthropic

from support import Server, main


class Messages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--ctx", "512")
        cls.client = anthropic.Anthropic(base_url=cls.server.url, api_key=cls.server.token, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def ask(self, text="Name a colour.", **options):
        options = {"model": "smollm2", "max_tokens": 16, "messages": [{"role": "user", "content": text}], **options}
        return self.client.messages.create(**{"extra_body": {"temperature": 0}, **options})

    def test_whole(self):
        r = self.ask(system="You are brief.")
        self.assertEqual((r.type, r.role, r.content[0].type), ("message", "assistant", "text"))
        self.assertTrue(r.content[0].text)
        self.assertIn(r.stop_reason, ("end_turn", "max_tokens"))
        self.assertGreater(r.usage.input_tokens + r.usage.cache_read_input_tokens, 0)

    def test_stream_has_all_events_in_order(self):
        kinds, text = [], ""
        with self.client.messages.stream(model="smollm2", max_tokens=16, extra_body={"temperature": 0},
                                         messages=[{"role": "user", "content": "Name a colour."}]) as s:
            for e in s:
                if e.type in ("message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"):
                    kinds.append(e.type)
            text = s.get_final_text()
        self.assertEqual(kinds, ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"])
        self.assertEqual(text, self.ask().content[0].text)

    def test_system_words_in_the_middle(self):
        talk = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]
        counted = lambda *more: self.client.messages.count_tokens(model="smollm2", messages=[*talk, *more, {"role": "user", "content": "A colour?"}]).input_tokens
        self.assertGreater(counted({"role": "system", "content": "Answer in one word."}), counted())
        blocks = [{"type": "text", "text": "Answer in one word.", "cache_control": {"type": "ephemeral"}}]
        self.assertEqual(counted({"role": "system", "content": blocks}), counted({"role": "system", "content": "Answer in one word."}))
        self.assertTrue(self.ask(messages=[*talk, {"role": "system", "content": blocks}, {"role": "user", "content": "A colour?"}]).content[0].text)

    def test_thoughts(self):
        thinks = {"extra_body": {"temperature": 0, "grammar": 'root ::= "<think>" ("la "){12} "</think>yes"'}, "max_tokens": 100}
        for display, shown in ((None, True), ("summarized", True), ("omitted", False)):
            thinking = {"type": "adaptive", **({"display": display} if display else {})}
            r = self.ask(thinking=thinking, **thinks)
            self.assertEqual([(b.type, bool(getattr(b, "thinking", "x"))) for b in r.content], [("thinking", shown), ("text", True)])
            self.assertGreaterEqual(r.usage.output_tokens_details.thinking_tokens, 12)
            self.assertLess(r.usage.output_tokens_details.thinking_tokens, r.usage.output_tokens)
            with self.client.messages.stream(model="smollm2", messages=[{"role": "user", "content": "Name a colour."}], thinking=thinking, **thinks) as s:
                deltas = [e.delta.type for e in s if e.type == "content_block_delta"]
                whole = s.get_final_message()
            kinds = list(dict.fromkeys(deltas))
            self.assertEqual(kinds, [*(["thinking_delta"] if shown else []), "signature_delta", "text_delta"])
            self.assertEqual(deltas.count("signature_delta"), 1)
            self.assertEqual([b.model_dump(exclude_none=True) for b in whole.content if b.type == "thinking"],
                             [b.model_dump(exclude_none=True) for b in r.content if b.type == "thinking"])
            self.assertEqual(whole.usage.output_tokens_details, r.usage.output_tokens_details)
        with self.assertRaises(anthropic.BadRequestError) as e:
            self.ask(thinking={"type": "adaptive", "display": "all"})
        self.assertIn("thinking.display", str(e.exception))

    def test_stop_sequences(self):
        whole = self.ask("Count: 1, 2, 3,", max_tokens=30).content[0].text
        r = self.ask("Count: 1, 2, 3,", max_tokens=30, stop_sequences=[whole[4:7]])
        self.assertEqual((r.stop_reason, r.stop_sequence), ("stop_sequence", whole[4:7]))

    def test_prefill_is_continued(self):
        messages = [{"role": "user", "content": "Say the alphabet."}, {"role": "assistant", "content": [{"type": "text", "text": "A, B, C,"}]}]
        self.assertIn("D", self.ask(messages=messages, max_tokens=6).content[0].text)

    def test_documents_and_results_of_searches_are_their_words(self):
        count = lambda *blocks: self.server.post("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": list(blocks)}]})
        text = lambda words: {"type": "text", "text": words}
        words = text("The moon is far.")
        same = ((text("Moon\nmoon.txt\nThe moon is far."), {"type": "search_result", "title": "Moon", "source": "moon.txt", "content": [words]}),
                (text("The moon is far."), {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "The moon is far."}}),
                (text("Moon\nof May\nThe moon is far.\nThe moon is far."),
                 {"type": "document", "title": "Moon", "context": "of May", "source": {"type": "content", "content": [words, words]}}))
        for said, block in same:
            (status, _, plain), (_, _, found) = count(said), count(block)
            self.assertEqual((status, found), (200, plain), block)
            (status, _, plain), (_, _, found) = (count({"type": "tool_result", "tool_use_id": "t", "content": [part]}) for part in (said, block))
            self.assertEqual((status, found), (200, plain), block)
        for block, place in (({"type": "search_result", "title": "a"}, "messages[0].content[0].content"), ({"type": "search_result", "content": [words, 5]}, "messages[0].content[0].content[1]"),
                             ({"type": "document", "source": {"type": "base64", "data": "JVBERi0="}}, "messages[0].content[0]"),
                             ({"type": "document", "source": {"type": "content"}}, "messages[0].content[0].source.content")):
            status, _, reply = count(block)
            self.assertEqual(status, 400)
            self.assertTrue(reply["error"]["message"].startswith(place), reply)

    def test_count_tokens(self):
        n = self.client.messages.count_tokens(model="smollm2", messages=[{"role": "user", "content": "Name a colour."}]).input_tokens
        r = self.ask(max_tokens=1)
        self.assertEqual(n, r.usage.input_tokens + r.usage.cache_read_input_tokens)

    def test_the_answer_is_held_to_a_format(self):
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
        form = {"type": "json_schema", "schema": schema}
        body = {"model": "smollm2", "max_tokens": 60, "messages": [{"role": "user", "content": "Give a number."}]}
        for fields in ({"output_config": {"format": form}}, {"output_format": form}):
            status, _, reply = self.server.post("/v1/messages", {**body, **fields})
            self.assertEqual((status, reply["stop_reason"]), (200, "end_turn"), reply)
            self.assertIsInstance(json.loads(reply["content"][0]["text"])["a"], int)
        for fields, name in (({"output_config": {"format": {"type": "xml"}}}, "output_config.format"), ({"output_format": form, "output_config": {"format": form}}, "output_config.format"),
                             ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema")):
            status, _, reply = self.server.post("/v1/messages", {**body, **fields})
            self.assertEqual(status, 400, reply)
            self.assertIn(name, reply["error"]["message"])

    def test_errors(self):
        with self.assertRaises(anthropic.NotFoundError):
            self.ask(model="claude-none")
        with self.assertRaises(anthropic.BadRequestError) as e:
            self.ask("word " * 2000)
        self.assertIn("512", str(e.exception))
        with self.assertRaises(anthropic.BadRequestError):
            self.ask(messages=[])
        with self.assertRaises(anthropic.BadRequestError):
            self.ask(extra_body={"temperature": 9})
        with self.assertRaises(anthropic.AuthenticationError):
            anthropic.Anthropic(base_url=self.server.url, api_key="x", max_retries=0).messages.create(
                model="smollm2", max_tokens=1, messages=[{"role": "user", "content": "x"}])
        self.assertEqual(self.server.post("/v1/messages", {"messages": [{"role": "user", "content": "x"}]})[0], 400)


if __name__ == "__main__":
    main()
