// A way between the page and its server that can be bad: a forwarder of TCP on loopback.
import { connect, createServer } from 'node:net';

/** `still()`: nothing passes, and nobody is told, as where a signal is lost. `cut()`: all connections break, and new ones. `mend()`: as before. */
export async function startRoad(to) {
  const pairs = new Set();
  let state = 'open';
  const server = createServer((near) => {
    if (state === 'cut') { near.destroy(); return; }
    const far = connect(to(), '127.0.0.1');
    const pair = [near, far];
    pairs.add(pair);
    const end = () => { pairs.delete(pair); near.destroy(); far.destroy(); };
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('data', (bytes) => { if (!other.write(bytes)) one.pause(); });
      other.on('drain', () => { if (state !== 'still') one.resume(); });
      one.on('end', () => other.end());
      one.on('error', end);
      one.on('close', end);
    }
    if (state === 'still') for (const one of pair) one.pause();
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const end = () => { for (const pair of [...pairs]) for (const one of pair) one.destroy(); };
  return {
    port: server.address().port,
    still() { state = 'still'; for (const pair of pairs) for (const one of pair) one.pause(); },
    cut() { state = 'cut'; end(); },
    mend() { state = 'open'; for (const pair of pairs) for (const one of pair) one.resume(); },
    close() { end(); server.close(); },
  };
}
