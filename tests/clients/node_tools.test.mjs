// npm's clients where models call tools and keep to schemas; the server's address comes from test_node.py.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { ChatOpenAI } from '@langchain/openai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';

const { WATRA_URL: url, WATRA_TOKEN: token, WATRA_MODEL: model } = process.env;
const knowsTools = model !== 'smollm2';
const weather = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 }, unit: { type: 'string', enum: ['C', 'F'] } },
  required: ['city', 'unit'],
  additionalProperties: false,
};
const add = {
  type: 'object',
  properties: { a: { type: 'integer', minimum: -999, maximum: 999 }, b: { type: 'integer', minimum: -999, maximum: 999 } },
  required: ['a', 'b'],
  additionalProperties: false,
};
const described = [
  { name: 'get_weather', description: 'The weather in a city', parameters: weather },
  { name: 'add', description: 'Adds two numbers', parameters: add },
];
const tools = described.map((f) => ({ type: 'function', function: f }));
const claudeTools = described.map(({ name, description, parameters }) => ({ name, description, input_schema: parameters }));
const ask = [{ role: 'user', content: 'What is the weather in Paris in C? Call the function.' }];
const colour = {
  type: 'object',
  properties: { name: { enum: ['red', 'green', 'blue'] }, warm: { type: 'boolean' } },
  required: ['name', 'warm'],
  additionalProperties: false,
};

function check(name, given, names = ['get_weather', 'add']) {
  assert.ok(names.includes(name), name);
  const values = typeof given === 'string' ? JSON.parse(given) : given;
  assert.deepEqual(Object.keys(values).sort(), name === 'add' ? ['a', 'b'] : ['city', 'unit']);
  if (name === 'add') assert.ok(Object.values(values).every(Number.isInteger));
}
function checkColour(text) {
  const { name, warm } = JSON.parse(text);
  assert.ok(['red', 'green', 'blue'].includes(name));
  assert.equal(typeof warm, 'boolean');
}

describe('openai: tools', () => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0 });
  const chat = (fields) => client.chat.completions.create({ model, messages: ask, max_tokens: 200, temperature: 0, tools, ...fields });

  test('choices', async () => {
    const required = (await chat({ tool_choice: 'required' })).choices[0];
    assert.equal(required.finish_reason, 'tool_calls');
    assert.equal(required.message.content, null);
    check(required.message.tool_calls[0].function.name, required.message.tool_calls[0].function.arguments);
    const named = (await chat({ tool_choice: { type: 'function', function: { name: 'add' } } })).choices[0];
    check(named.message.tool_calls[0].function.name, named.message.tool_calls[0].function.arguments, ['add']);
    const none = (await chat({ tool_choice: 'none', max_tokens: 12 })).choices[0];
    assert.equal(none.message.tool_calls, undefined);
    const alone = (await chat({ tool_choice: 'required', parallel_tool_calls: false })).choices[0];
    assert.equal(alone.message.tool_calls.length, 1);
    if (knowsTools) check((await chat({})).choices[0].message.tool_calls[0].function.name, weatherCall(await chat({})), ['get_weather']);
  });
  test('some of the tools', async () => {
    const one = { type: 'function', function: { name: 'add' } };
    const chosen = (await chat({ tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [one] } } })).choices[0];
    check(chosen.message.tool_calls[0].function.name, chosen.message.tool_calls[0].function.arguments, ['add']);
    const beside = tools.map((t) => ({ type: 'function', strict: null, ...t.function }));
    const tool_choice = { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'add' }] };
    const said = await client.responses.create({ model, input: ask, tools: beside, tool_choice, max_output_tokens: 200, temperature: 0 });
    const call = said.output.find((i) => i.type === 'function_call');
    check(call.name, call.arguments, ['add']);
  });
  const weatherCall = (reply) => reply.choices[0].message.tool_calls[0].function.arguments;

  test('pieces of a stream make the call', async () => {
    const whole = (await chat({ tool_choice: 'required' })).choices[0].message.tool_calls[0].function;
    let pieces = '';
    let last = null;
    for await (const chunk of await chat({ tool_choice: 'required', stream: true })) {
      for (const call of chunk.choices[0].delta.tool_calls ?? []) pieces += call.function.arguments ?? '';
      last = chunk.choices[0].finish_reason;
    }
    assert.equal(pieces, whole.arguments);
    assert.equal(last, 'tool_calls');
    const helper = client.chat.completions.stream({ model, messages: ask, tools, tool_choice: 'required', max_tokens: 200, temperature: 0 });
    assert.equal((await helper.finalMessage()).tool_calls[0].function.arguments, whole.arguments);
  });
  test('a tool that is run', async () => {
    const run = { ...tools[1], function: { ...described[1], function: ({ a, b }) => String(a + b), parse: JSON.parse } };
    const runner = client.chat.completions.runTools({ model, messages: ask, tools: [run], tool_choice: { type: 'function', function: { name: 'add' } }, max_tokens: 100, temperature: 0 }, { maxChatCompletions: 1 });
    await runner.done();
    assert.ok(runner.messages.some((m) => m.role === 'tool' && /^-?\d+$/.test(m.content)));
  });
  test('schemas', async () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'colour', strict: true, schema: colour } };
    checkColour((await chat({ tools: undefined, response_format, temperature: 1.5, seed: 2 })).choices[0].message.content);
    const parsed = await client.chat.completions.parse({ model, messages: ask, response_format, max_tokens: 100 });
    checkColour(parsed.choices[0].message.content);
    const said = await client.responses.create({ model, input: 'A colour.', text: { format: { type: 'json_schema', name: 'colour', schema: colour } }, max_output_tokens: 100 });
    checkColour(said.output_text);
  });
  test('errors', async () => {
    const refused = (fields, param) => assert.rejects(chat(fields), (e) => e instanceof OpenAI.BadRequestError && e.param === param);
    await refused({ tool_choice: { type: 'function', function: { name: 'none_such' } } }, 'tool_choice');
    await refused({ tools: [{ type: 'function' }] }, 'tools[0].function');
    await refused({ tools: undefined, response_format: { type: 'json_schema' } }, 'response_format.json_schema');
  });
});

describe('@anthropic-ai/sdk: tools', () => {
  const client = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0 });
  const base = { model, max_tokens: 200, messages: ask, tools: claudeTools, temperature: 0 };

  test('choices, streams and results', async () => {
    const whole = await client.messages.create({ ...base, tool_choice: { type: 'any' } });
    const use = whole.content.find((b) => b.type === 'tool_use');
    check(use.name, use.input);
    assert.equal(whole.stop_reason, 'tool_use');
    const streamed = await client.messages.stream({ ...base, tool_choice: { type: 'any' } }).finalMessage();
    assert.deepEqual(streamed.content.at(-1).input, use.input);
    assert.ok(streamed.usage.input_tokens + streamed.usage.cache_read_input_tokens > 0);
    const named = await client.messages.create({ ...base, tool_choice: { type: 'tool', name: 'add' } });
    check('add', named.content.at(-1).input);
    const messages = [...ask, { role: 'assistant', content: whole.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: '21 C' }] }];
    assert.ok((await client.messages.create({ ...base, messages, tool_choice: { type: 'none' }, max_tokens: 12 })).content[0].text);
    await assert.rejects(client.messages.create({ ...base, tool_choice: { type: 'tool', name: 'none_such' } }), Anthropic.BadRequestError);
  });
});

describe('@anthropic-ai/sdk: schemas', () => {
  const client = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0 });

  test('an answer that is held to one', async () => {
    const asked = { model, max_tokens: 100, messages: ask, output_config: { format: { type: 'json_schema', schema: colour } } };
    const whole = await client.messages.create(asked);
    assert.equal(whole.stop_reason, 'end_turn');
    checkColour(whole.content[0].text);
    checkColour((await client.messages.stream(asked).finalMessage()).content[0].text);
    const parsed = await client.messages.parse(asked);
    checkColour(parsed.content[0].text);
    const without = { ...asked, output_config: { format: { type: 'json_schema' } } };
    await assert.rejects(client.messages.create(without), Anthropic.BadRequestError);
  });
});

describe('ollama: tools', () => {
  const client = new Ollama({ host: url, headers: { Authorization: `Bearer ${token}` } });

  test('schemas', async () => {
    checkColour((await client.chat({ model, messages: ask, format: colour, options: { num_predict: 100 } })).message.content);
    let text = '';
    for await (const part of await client.generate({ model, prompt: 'A colour.', format: colour, options: { num_predict: 100 }, stream: true })) text += part.response;
    checkColour(text);
  });
  test('calls', { skip: !knowsTools }, async () => {
    const whole = await client.chat({ model, messages: ask, tools, options: { temperature: 0, num_predict: 200 } });
    check(whole.message.tool_calls[0].function.name, whole.message.tool_calls[0].function.arguments, ['get_weather']);
    const calls = [];
    for await (const part of await client.chat({ model, messages: ask, tools, options: { temperature: 0, num_predict: 200 }, stream: true }))
      calls.push(...(part.message.tool_calls ?? []));
    assert.deepEqual(calls.map((c) => c.function.arguments), whole.message.tool_calls.map((c) => c.function.arguments));
  });
});

describe('@langchain/openai: tools', () => {
  test('choices and schemas', async () => {
    const chat = new ChatOpenAI({ model, apiKey: token, maxRetries: 0, temperature: 0, maxTokens: 200, configuration: { baseURL: `${url}/v1` } });
    const bound = chat.bindTools(tools, { tool_choice: 'add' });
    const said = await bound.invoke('Add 2 and 3.');
    check(said.tool_calls[0].name, said.tool_calls[0].args, ['add']);
    let pieces = null;
    for await (const part of await bound.stream('Add 2 and 3.')) pieces = pieces ? pieces.concat(part) : part;
    assert.deepEqual(pieces.tool_calls[0].args, said.tool_calls[0].args);
    const shaped = await chat.withStructuredOutput(colour, { name: 'colour', method: 'jsonSchema' }).invoke('A colour.');
    checkColour(JSON.stringify(shaped));
  });
});
