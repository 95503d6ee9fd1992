// npm's clients as people use them; the server's address comes from test_node.py.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';

const { WATRA_URL: url, WATRA_TOKEN: token, WATRA_MODEL: model } = process.env;
const user = [{ role: 'user', content: 'Name a colour.' }];
const long = [{ role: 'user', content: 'word '.repeat(9000) }];
const forever = [{ role: 'user', content: 'Tell me a very long story.' }];
const whole = 7000; // tokens: more than anybody waits for

async function metric(name) {
  const reply = await fetch(`${url}/metrics`, { headers: { Authorization: `Bearer ${token}` } });
  return Number(new RegExp(`^llamacpp:${name} (\\S+)$`, 'm').exec(await reply.text())[1]);
}
// Around an answer of `whole` tokens that its client leaves: the work ends, and before they are all written.
async function left(leave) {
  const begun = await metric('tokens_predicted_total');
  await leave();
  const end = Date.now() + 600_000;
  while ((await metric('requests_processing')) + (await metric('requests_deferred')) > 0) {
    assert.ok(Date.now() < end, 'the work does not end');
    await new Promise((done) => setTimeout(done, 20));
  }
  assert.ok((await metric('tokens_predicted_total')) - begun < whole, 'the answer was written to its end though its client has left');
}

describe('openai', () => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0 });
  const ask = { model, messages: user, max_tokens: 16, temperature: 0 };

  test('answers, whole and streamed', async () => {
    const whole = await client.chat.completions.create(ask);
    assert.ok(whole.choices[0].message.content);
    let text = '';
    let usage = null;
    const stream = await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
    const helper = client.chat.completions.stream(ask);
    assert.equal(await helper.finalContent(), text);
  });
  test('log-probabilities', async () => {
    const scored = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 3 });
    const bytes = scored.choices[0].logprobs.content.flatMap((e) => e.bytes);
    assert.equal(Buffer.from(bytes).toString(), scored.choices[0].message.content);
  });
  test('embeddings', async () => {
    const found = await client.embeddings.create({ model, input: ['a dog', 'a cat'] });
    const plain = await client.embeddings.create({ model, input: 'a dog', encoding_format: 'float' });
    assert.equal(found.data.length, 2);
    assert.equal(found.data[0].embedding.length, plain.data[0].embedding.length);
  });
  test('leaving', async () => {
    await left(async () => {
      const stream = await client.chat.completions.create({ ...ask, messages: forever, max_tokens: whole, stream: true });
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    });
    await left(async () => {
      const aborts = new AbortController();
      const answer = client.chat.completions.create({ ...ask, messages: forever, max_tokens: whole, ignore_eos: true }, { signal: aborts.signal });
      setTimeout(() => aborts.abort(), 500);
      await assert.rejects(answer, OpenAI.APIUserAbortError);
    });
  });
  test('errors', async () => {
    const chat = (fields) => client.chat.completions.create({ ...ask, ...fields });
    await assert.rejects(chat({ model: 'gpt-none' }), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
    await assert.rejects(chat({ messages: long }), (e) => e instanceof OpenAI.BadRequestError && e.code === 'context_length_exceeded');
    await assert.rejects(chat({ temperature: 9 }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature');
    const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'wrong', maxRetries: 0 });
    await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  });
  test('responses', async () => {
    const whole = await client.responses.create({ model, input: 'Name a colour.', max_output_tokens: 16, temperature: 0 });
    assert.ok(whole.output_text);
    let text = '';
    for await (const e of await client.responses.create({ model, input: 'Name a colour.', max_output_tokens: 16, temperature: 0, stream: true }))
      if (e.type === 'response.output_text.delta') text += e.delta;
    assert.equal(text, whole.output_text);
  });
});

describe('@anthropic-ai/sdk', () => {
  const client = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0 });
  const ask = { model, max_tokens: 16, messages: user, temperature: 0 };

  test('answers, whole and streamed', async () => {
    const whole = await client.messages.create(ask);
    const stream = client.messages.stream(ask);
    assert.equal(await stream.finalText(), whole.content[0].text);
    const counted = await client.messages.countTokens({ model, messages: user });
    assert.equal(counted.input_tokens, whole.usage.input_tokens + whole.usage.cache_read_input_tokens);
  });
  test('leaving and errors', async () => {
    await left(async () => {
      const stream = client.messages.stream({ ...ask, messages: forever, max_tokens: whole });
      const ended = assert.rejects(stream.done(), Anthropic.APIUserAbortError);
      await new Promise((done) => stream.once('text', done));
      stream.abort();
      await ended;
    });
    await assert.rejects(client.messages.create({ ...ask, model: 'claude-none' }), Anthropic.NotFoundError);
    await assert.rejects(client.messages.create({ ...ask, messages: long }), Anthropic.BadRequestError);
    await assert.rejects(client.messages.create({ ...ask, messages: [] }), Anthropic.BadRequestError);
    const stranger = new Anthropic({ baseURL: url, apiKey: 'wrong', maxRetries: 0 });
    await assert.rejects(stranger.messages.create(ask), Anthropic.AuthenticationError);
  });
});

describe('ollama', () => {
  const client = new Ollama({ host: url, headers: { Authorization: `Bearer ${token}` } });
  const options = { temperature: 0, num_predict: 16 };

  test('answers, whole and streamed', async () => {
    const whole = await client.chat({ model, messages: user, options });
    let text = '';
    for await (const part of await client.chat({ model, messages: user, options, stream: true })) text += part.message.content;
    assert.equal(text, whole.message.content);
    assert.equal((await client.generate({ model, prompt: user[0].content, options })).response, text);
  });
  test('lists and embeddings', async () => {
    assert.equal((await client.list()).models[0].model, `${model}:latest`);
    assert.equal((await client.ps()).models[0].model, `${model}:latest`);
    assert.equal((await client.show({ model })).details.format, 'gguf');
    assert.equal((await client.embed({ model, input: ['a', 'b'] })).embeddings.length, 2);
  });
  test('leaving and errors', async () => {
    await left(async () => {
      const stream = await client.chat({ model, messages: forever, options: { num_predict: whole }, stream: true });
      await assert.rejects(async () => {
        for await (const part of stream) if (part.message.content) stream.abort();
      });
    });
    await assert.rejects(client.chat({ model: 'llama3', messages: user }), (e) => e.status_code === 404);
    await assert.rejects(client.chat({ model, messages: long }), (e) => e.status_code === 400);
  });
});

describe('@langchain/openai', () => {
  const common = { model, apiKey: token, maxRetries: 0, configuration: { baseURL: `${url}/v1` } };
  const chat = new ChatOpenAI({ ...common, temperature: 0, maxTokens: 16 });

  test('answers, whole and streamed', async () => {
    const whole = await chat.invoke('Name a colour.');
    let text = '';
    for await (const part of await chat.stream('Name a colour.')) text += part.content;
    assert.equal(text, whole.content);
    assert.ok(whole.usage_metadata.input_tokens > 0);
  });
  test('embeddings, leaving and errors', async () => {
    const found = await new OpenAIEmbeddings(common).embedDocuments(['a', 'b']);
    assert.equal(found.length, 2);
    await left(async () => {
      const aborts = new AbortController();
      const endless = new ChatOpenAI({ ...common, maxTokens: whole });
      await assert.rejects(async () => {
        for await (const part of await endless.stream(forever[0].content, { signal: aborts.signal })) if (part.content) aborts.abort();
      });
    });
    await assert.rejects(chat.invoke(long[0].content), (e) => e.status === 400 || /context/i.test(e.message));
  });
});
