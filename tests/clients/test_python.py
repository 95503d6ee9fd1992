"""Python's clients as people use them: answers, streams, log-probabilities, leaving, errors, embeddings.
usage: test_python.py WATRA HOME [--quick] [--model NAME]"""
import asyncio
import json
import unittest

import anthropic
import httpx
import ollama
import openai
from anthropic.types import Message, RawMessageStreamEvent
from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from client_case import MODEL, QUICK, Client, main, start_server

USER = [{"role": "user", "content": "Name a colour."}]
LONG = [{"role": "user", "content": "word " * 9000}]
FOREVER = [{"role": "user", "content": "Tell me a very long story."}]
WHOLE = 7000  # tokens: more than anybody waits for


def setUpModule():
    global server
    server = start_server("--ctx", "8192")


def read_whole(kind, replies):
    """SDKs forgive replies what they lack, until a program asks for it: here nothing may be missing."""
    reader = TypeAdapter(kind)
    for reply in replies:
        reader.validate_python(reply)


def tearDownModule():
    server.stop()


class OpenAi(Client):
    def setUp(self):
        self.client = openai.OpenAI(base_url=server.url + "/v1", api_key=server.token, max_retries=0)

    def chat(self, **fields):
        return self.client.chat.completions.create(**{"model": MODEL, "messages": USER, "max_tokens": 16, "temperature": 0, **fields})

    def test_answers(self):
        whole = self.chat()
        self.assertTrue(whole.choices[0].message.content)
        self.assertEqual(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens)
        parts = list(self.chat(stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(p.choices[0].delta.content or "" for p in parts if p.choices), whole.choices[0].message.content)
        self.assertEqual(parts[-1].usage.completion_tokens, whole.usage.completion_tokens)
        self.assertEqual(len(self.chat(n=3, temperature=1, seed=1).choices), 3)
        with self.client.chat.completions.stream(model=MODEL, messages=USER, max_tokens=16, temperature=0) as stream:
            text = "".join(e.delta for e in stream if e.type == "content.delta")
        self.assertEqual(text, whole.choices[0].message.content)

    def test_replies_are_whole(self):
        raw = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}, timeout=None)
        ask = lambda path, **body: raw.post(path, json=body).raise_for_status()
        events = lambda path, **body: [json.loads(line[6:]) for line in ask(path, stream=True, **body).text.splitlines() if line.startswith("data: {")]
        call = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 9, "minimum": 0}}, "required": ["a"], "additionalProperties": False}
        chats = [{"max_tokens": 3}, {"max_tokens": 3, "logprobs": True, "top_logprobs": 2, "n": 2},
                 {"max_tokens": 60, "tools": [{"type": "function", "function": {"name": "add", "parameters": call}}], "tool_choice": "required"}]
        for fields in chats:
            read_whole(ChatCompletion, [ask("/v1/chat/completions", messages=USER, **fields).json()])
            read_whole(ChatCompletionChunk, events("/v1/chat/completions", messages=USER, stream_options={"include_usage": True}, **fields))
        for fields in ({"max_output_tokens": 3}, {"max_output_tokens": 3, "top_logprobs": 2, "include": ["message.output_text.logprobs"]},
                       {"max_output_tokens": 60, "tools": [{"type": "function", "name": "add", "parameters": call, "strict": True}], "tool_choice": "required"}):
            read_whole(Response, [ask("/v1/responses", model=MODEL, input="hi", **fields).json()])
            read_whole(ResponseStreamEvent, events("/v1/responses", model=MODEL, input="hi", **fields))
        for fields in ({"max_tokens": 3}, {"max_tokens": 60, "tools": [{"name": "add", "input_schema": call}], "tool_choice": {"type": "any"}}):
            read_whole(Message, [ask("/v1/messages", model=MODEL, messages=USER, **fields).json()])
            read_whole(RawMessageStreamEvent, [e for e in events("/v1/messages", model=MODEL, messages=USER, **fields) if e["type"] != "ping"])
        read_whole(CreateEmbeddingResponse, [ask("/v1/embeddings", input="a").json()])
        read_whole(Model, raw.get("/v1/models").json()["data"])
        read_whole(ollama.ListResponse, [raw.get("/api/tags").json()])
        read_whole(ollama.ProcessResponse, [raw.get("/api/ps").json()])
        read_whole(ollama.ShowResponse, [ask("/api/show", model=MODEL).json()])

    def test_log_probabilities(self):
        for entry in self.chat(logprobs=True, top_logprobs=2).choices[0].logprobs.content:
            self.assertEqual(len(entry.top_logprobs), 2)
        lists = self.client.completions.create(model=MODEL, prompt="One, two,", max_tokens=0, echo=True, logprobs=1).choices[0].logprobs
        self.assertEqual("".join(lists.tokens), "One, two,")

    def test_errors_are_its_exceptions(self):
        with self.assertRaises(openai.NotFoundError) as e:
            self.chat(model="gpt-4o")
        self.assertEqual((e.exception.code, e.exception.param), ("model_not_found", "model"))
        with self.assertRaises(openai.BadRequestError) as e:
            self.chat(messages=LONG)
        self.assertEqual(e.exception.code, "context_length_exceeded")
        for fields in ({"temperature": 9}, {"messages": []}, {"n": 0}, {"messages": [{"role": "king", "content": "x"}]}):
            with self.assertRaises(openai.BadRequestError) as e:
                self.chat(**fields)
            self.assertTrue(e.exception.param.startswith(next(iter(fields))))
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=server.url + "/v1", api_key="wrong", max_retries=0).models.list()
        with self.assertRaises(openai.BadRequestError):
            self.chat(stream=True, messages=LONG)

    def test_leaving_a_stream(self):
        with self.left(WHOLE):
            stream = self.chat(messages=FOREVER, max_tokens=WHOLE, stream=True)
            next(iter(stream))
            stream.close()

    def test_a_timeout_stops_the_work(self):
        with self.left(WHOLE), self.assertRaises(openai.APITimeoutError):
            self.client.with_options(timeout=0.5).chat.completions.create(model=MODEL, messages=FOREVER, max_tokens=WHOLE, logit_bias={}, extra_body={"ignore_eos": True})

    def test_many_at_once_and_cancelled_tasks(self):
        async def ask():
            async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key=server.token, max_retries=0) as client:
                one = lambda i, n: client.chat.completions.create(model=MODEL, max_tokens=n, extra_body={"ignore_eos": True},
                                                                  messages=[{"role": "user", "content": f"Say {i}"}])
                answers = await asyncio.gather(*(one(i, 4) for i in range(12)))
                self.assertTrue(all(a.usage.completion_tokens == 4 for a in answers))
                task = asyncio.create_task(one(0, WHOLE))
                await asyncio.to_thread(self.something_runs)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
        with self.left(WHOLE):
            asyncio.run(ask())

    def test_embeddings(self):
        found = self.client.embeddings.create(model=MODEL, input=["a dog", "a cat"])
        self.assertEqual(len(found.data), 2)
        plain = self.client.embeddings.create(model=MODEL, input="a dog", encoding_format="float")
        self.assertLess(max(abs(a - b) for a, b in zip(plain.data[0].embedding, found.data[0].embedding)), 1e-6)

    def test_responses(self):
        whole = self.client.responses.create(model=MODEL, input="Name a colour.", max_output_tokens=16, temperature=0)
        self.assertTrue(whole.output_text)
        events = list(self.client.responses.create(model=MODEL, input="Name a colour.", max_output_tokens=16, temperature=0, stream=True))
        self.assertEqual("".join(e.delta for e in events if e.type == "response.output_text.delta"), whole.output_text)


class Anthropic(Client):
    def setUp(self):
        self.client = anthropic.Anthropic(base_url=server.url, api_key=server.token, max_retries=0)

    def ask(self, **fields):
        return self.client.messages.create(**{"model": MODEL, "max_tokens": 16, "messages": USER, "extra_body": {"temperature": 0}, **fields})

    def test_answers(self):
        whole = self.ask(system=[{"type": "text", "text": "You are brief.", "cache_control": {"type": "ephemeral"}}])
        with self.client.messages.stream(model=MODEL, max_tokens=16, messages=USER, system="You are brief.", extra_body={"temperature": 0}) as stream:
            text = "".join(stream.text_stream)
            self.assertEqual(stream.get_final_message().usage.output_tokens, whole.usage.output_tokens)
        self.assertEqual(text, whole.content[0].text)
        counted = self.client.messages.count_tokens(model=MODEL, messages=USER, system="You are brief.").input_tokens
        self.assertEqual(counted, whole.usage.input_tokens + whole.usage.cache_read_input_tokens)

    def test_errors_are_its_exceptions(self):
        with self.assertRaises(anthropic.NotFoundError):
            self.ask(model="claude-none")
        for fields in ({"messages": LONG}, {"messages": []}, {"max_tokens": 0}):
            with self.assertRaises(anthropic.BadRequestError):
                self.ask(**fields)
        with self.assertRaises(anthropic.AuthenticationError):
            anthropic.Anthropic(base_url=server.url, api_key="wrong", max_retries=0).messages.create(model=MODEL, max_tokens=1, messages=USER)

    def test_leaving_a_stream(self):
        with self.left(WHOLE), self.client.messages.stream(model=MODEL, max_tokens=WHOLE, messages=FOREVER) as stream:
            next(iter(stream.text_stream))


class Ollama(Client):
    def setUp(self):
        self.client = ollama.Client(host=server.url, headers={"Authorization": f"Bearer {server.token}"})
        self.options = {"temperature": 0, "num_predict": 16}

    def test_answers(self):
        whole = self.client.chat(model=MODEL, messages=USER, options=self.options)
        self.assertTrue(whole.done)
        parts = list(self.client.chat(model=MODEL, messages=USER, options=self.options, stream=True))
        self.assertEqual("".join(p.message.content for p in parts), whole.message.content)
        self.assertEqual(parts[-1].eval_count, whole.eval_count)
        self.assertEqual(self.client.generate(model=MODEL, prompt="Name a colour.", options=self.options).response, whole.message.content)

    def test_lists(self):
        self.assertEqual(self.client.list().models[0].model, f"{MODEL}:latest")
        self.assertEqual(self.client.ps().models[0].model, f"{MODEL}:latest")
        shown = self.client.show(MODEL)
        self.assertEqual(shown.details.format, "gguf")
        self.assertIn("completion", shown.capabilities)

    def test_embeddings(self):
        self.assertEqual(len(self.client.embed(model=MODEL, input=["a", "b"]).embeddings), 2)
        self.assertTrue(self.client.embeddings(model=MODEL, prompt="a").embedding)

    def test_errors_are_its_exceptions(self):
        for status, call in ((404, lambda: self.client.chat(model="llama3", messages=USER)), (404, lambda: self.client.show("llama3")),
                             (400, lambda: self.client.chat(model=MODEL, messages=LONG)),
                             (400, lambda: self.client.generate(model=MODEL, prompt="x", options={"temperature": -1}))):
            with self.assertRaises(ollama.ResponseError) as e:
                call()
            self.assertEqual(e.exception.status_code, status)
            self.assertTrue(e.exception.error)

    def test_leaving_a_stream(self):
        with self.left(WHOLE):
            stream = self.client.chat(model=MODEL, messages=FOREVER, options={"num_predict": WHOLE}, stream=True)
            next(stream)
            stream.close()


@unittest.skipIf(QUICK, "slow to import")
class LiteLlm(Client):
    @classmethod
    def setUpClass(cls):
        import litellm
        litellm.telemetry, litellm.suppress_debug_info = False, True
        cls.litellm = litellm

    ways = (("openai/", "/v1"), ("anthropic/", ""), ("ollama_chat/", ""))

    def ask(self, way=ways[0], **fields):
        prefix, path = way
        base = {"model": prefix + MODEL, "api_base": server.url + path, "api_key": server.token, "messages": USER, "max_tokens": 16,
                "temperature": 0, "num_retries": 0}
        return self.litellm.completion(**{**base, **fields})

    def test_answers_by_every_api(self):
        whole = self.ask().choices[0].message.content
        self.assertTrue(whole)
        for way in self.ways:
            self.assertEqual(self.ask(way).choices[0].message.content, whole, way)
            self.assertEqual("".join(p.choices[0].delta.content or "" for p in self.ask(way, stream=True)), whole, way)

    def test_errors_are_its_exceptions(self):
        e = self.litellm.exceptions
        for way in self.ways[:2]:
            with self.assertRaises(e.NotFoundError):
                self.ask(way, model=way[0] + "gpt-none")
            with self.assertRaises(e.AuthenticationError):
                self.ask(way, api_key="wrong")
            with self.assertRaises(e.BadRequestError):
                self.ask(way, messages=LONG)
        with self.assertRaises(e.ContextWindowExceededError):
            self.ask(messages=LONG)

    def test_embeddings(self):
        found = self.litellm.embedding(model="openai/" + MODEL, input=["a", "b"], api_base=server.url + "/v1", api_key=server.token)
        self.assertEqual(len(found.data), 2)


@unittest.skipIf(QUICK, "slow to import")
class LangChain(Client):
    @classmethod
    def setUpClass(cls):
        from langchain_openai import ChatOpenAI, OpenAIEmbeddings
        common = {"model": MODEL, "base_url": server.url + "/v1", "api_key": server.token, "max_retries": 0}
        cls.chat = ChatOpenAI(temperature=0, max_tokens=16, stream_usage=True, **common)
        cls.forever = ChatOpenAI(max_tokens=WHOLE, extra_body={"ignore_eos": True}, **common)
        cls.embed = OpenAIEmbeddings(check_embedding_ctx_length=False, **common)

    def test_answers(self):
        whole = self.chat.invoke("Name a colour.")
        self.assertTrue(whole.content)
        self.assertGreater(whole.usage_metadata["input_tokens"], 0)
        parts = list(self.chat.stream("Name a colour."))
        self.assertEqual("".join(p.content for p in parts), whole.content)
        self.assertEqual(sum(p.usage_metadata["output_tokens"] for p in parts if p.usage_metadata), whole.usage_metadata["output_tokens"])
        self.assertEqual([a.content for a in self.chat.batch(["Name a colour."] * 3)], [whole.content] * 3)
        scored = self.chat.bind(logprobs=True, top_logprobs=2).invoke("Name a colour.")
        self.assertTrue(scored.response_metadata["logprobs"]["content"])

    def test_errors_and_leaving(self):
        with self.assertRaises(openai.BadRequestError):
            self.chat.invoke(LONG[0]["content"])
        with self.assertRaises(openai.NotFoundError):
            self.chat.bind(model="gpt-none").invoke("x")
        with self.left(WHOLE):
            stream = self.forever.stream("Count.")
            next(stream)
            stream.close()

    def test_embeddings(self):
        self.assertEqual(len(self.embed.embed_documents(["a", "b", "c"])), 3)
        self.assertEqual(self.embed.embed_query("a"), self.embed.embed_documents(["a"])[0])


class Plain(Client):
    def test_a_client_that_drops_its_connection(self):
        for stream in (True, False):
            with self.left(WHOLE), self.assertRaises(httpx.TimeoutException):
                httpx.post(server.url + "/v1/chat/completions", headers={"x-api-key": server.token}, timeout=0.7 if not stream else httpx.Timeout(60, read=0.0001),
                           json={"messages": FOREVER, "max_tokens": WHOLE, "ignore_eos": True, "stream": stream})


if __name__ == "__main__":
    main()
