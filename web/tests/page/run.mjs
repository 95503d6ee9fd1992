// tools/web page [--smoke] [--real PATH_OF_WATRA] [WORD]: the walk through the page. Exit 77: skipped, no browser.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { cases as columnCases } from './columns.mjs';
import { cases as detailCases } from './details.mjs';
import { cases as draftCases } from './drafts.mjs';
import { cases as habitCases } from './habits.mjs';
import { launch, open } from './harness.mjs';
import { cases as hasteCases } from './haste.mjs';
import { cases as manyCases } from './many.mjs';
import { cases as wordCases } from './own_words.mjs';
import { cases as readyCases } from './ready.mjs';
import { cases as realCases } from './real_suite.mjs';
import { cases as lowCases } from './low.mjs';
import { cases as mainCases } from './suite.mjs';
import { cases as stormCases } from './storm.mjs';
import { cases as swipeCases } from './swipe.mjs';
import { cases as worstCases } from './worst.mjs';

if (!existsSync(fileURLToPath(new URL('../../dist/index.html', import.meta.url)))) { console.log('page tests: no web/dist (make web): skipped'); process.exit(77); }
const { values, positionals } = parseArgs({ options: { smoke: { type: 'boolean' }, real: { type: 'string' } }, allowPositionals: true });
const { smoke, real } = values;
const word = positionals[0] ?? '';
const cases = real ? realCases.map((one) => ({ ...one, options: { lang: 'en', ...one.options, real } })) : [...mainCases, ...detailCases, ...draftCases, ...habitCases, ...hasteCases, ...manyCases, ...readyCases, ...columnCases, ...stormCases, ...swipeCases, ...lowCases, ...wordCases, ...worstCases];
const browser = await launch();
let failed = 0;
for (const one of cases.filter((c) => c.name.includes(word) && (!smoke || c.smoke))) {
  const started = Date.now();
  let house;
  try {
    house = await open(browser, one.options, { locale: 'en-US', ...one.view });
    await one.run(house);
    await house.done();
    console.log(`ok    ${one.name} (${Date.now() - started} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${one.name}\n${String(error.stack ?? error).split('\n').slice(0, 9).join('\n')}`);
    await house?.done().catch((more) => console.log(more.message.slice(0, 600)));
  }
}
await browser.close();
process.exit(failed > 0 ? 1 : 0);
