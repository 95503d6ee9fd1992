// node mock/main.mjs [--port 8787] [--rate 24] [--first-start] [--big] [--password WORD] [--keep FILE]
import { parseArgs } from 'node:util';

import { startMock } from './server.mjs';

const { values } = parseArgs({ options: { port: { type: 'string', default: '8787' }, rate: { type: 'string', default: '24' }, 'first-start': { type: 'boolean' }, big: { type: 'boolean' }, password: { type: 'string' }, keep: { type: 'string' } } });
const mock = await startMock({ port: Number(values.port), rate: Number(values.rate), firstStart: values['first-start'], big: values.big, password: values.password ?? null, keep: values.keep ?? null, code: 'enter' });
console.log(`listening on ${mock.url}`);
