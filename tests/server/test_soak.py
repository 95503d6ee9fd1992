"""A long life: conversations that grow, end and begin again while weights are streamed from the disk, drafts are made and conversations are
stored. No error, no memory lost, and what was asked at the beginning is answered with the same words at the end.
usage: test_soak.py WATRA HOME [--seconds N]"""
import random
import statistics
import sys
import time
import unittest

from support import Server, main

SECONDS = int(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 20
LIMIT_MIB = 130  # all of it would be 181: some 50 MiB of the weights are streamed
N_TALKS, TURNS_AT_MOST = 3, 6
TOPICS = ["the sea", "bread", "a lighthouse", "clouds", "a lost dog", "chess", "old maps", "a train at night", "the moon", "bees"]
LINES = ["total = add(items)", "count = len(items)", "price = total / count", "result = round(price, 2)", "print(result)"]


def question(rng):
    """Half of them have answers that repeat the question, so that drafts come true."""
    if rng.random() < 0.5:
        return "Repeat this code and rename items to rows:\n" + "\n".join(rng.sample(LINES, 4))
    return f"Say two sentences about {rng.choice(TOPICS)}. ({rng.randrange(10_000)})"


class Soak(unittest.TestCase):
    def ask(self, messages, **more):
        status, _, reply = self.server.post("/v1/chat/completions", {"messages": messages, "max_tokens": 24, **more})
        self.assertEqual(status, 200, reply)
        self.n_tokens += reply["usage"]["completion_tokens"]
        return reply["choices"][0]["message"]["content"]

    def test_a_long_life(self):
        self.server = Server("--ctx", "1024", "--ram", f"{LIMIT_MIB}MiB", "--draft", "auto", "--parallel", "2")
        self.n_tokens = 0
        rng, talks, sizes, n_answers = random.Random(5), [[] for _ in range(N_TALKS)], [], 0
        first = [{"role": "user", "content": "Repeat word for word: the old lighthouse stands where the river meets the sea."}]
        said_first = self.ask(first, temperature=0)
        begin = time.monotonic()
        while time.monotonic() - begin < SECONDS:
            talk = rng.choice(talks)
            if len(talk) >= 2 * TURNS_AT_MOST:
                talk.clear()
            talk.append({"role": "user", "content": question(rng)})
            talk.append({"role": "assistant", "content": self.ask(talk, temperature=rng.choice([0, 0.8]), seed=rng.randrange(1000))})
            n_answers += 1
            sizes.append(self.server.rss_mib())
        said_last = self.ask(first, temperature=0)
        true, drafted = self.server.metric("draft_tokens_accepted_total"), self.server.metric("draft_tokens_total")
        log = "".join(self.server.log)
        self.server.stop()
        fifth = max(1, len(sizes) // 5)
        at = [statistics.median(sizes[part * fifth:(part + 1) * fifth] or sizes) for part in range(5)]
        print(f"{SECONDS} s: {n_answers} answers, {self.n_tokens} tokens, {true:.0f} of {drafted:.0f} drafted ones true; RSS by fifths of them "
              f"{', '.join(f'{m:.0f}' for m in at)} MiB, {max(sizes):.0f} at most of {LIMIT_MIB} allowed")
        self.assertEqual(said_first, said_last)
        self.assertNotIn("error", log.lower())
        self.assertLessEqual(max(sizes), LIMIT_MIB)
        if n_answers >= 50:
            self.assertGreater(true, 0)
            self.assertLess(at[4] - at[1], 4 + 0.02 * at[1])


if __name__ == "__main__":
    main()
