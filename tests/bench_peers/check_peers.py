"""bench/peers: what it makes of reports."""
import math
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench/peers"))
import outlook
from rounds import Rounds, share_of_peak
from runtimes import LlamaCpp, Test, Watra
from tables import speed_rows, verify_rows

# One billion multiply-accumulates in the layers, a quarter more in the output matrix.
REPORT = {"pass_bytes": 1e9, "pass_macs": 1.25e9, "prefill_macs": 1e9, "peak_bytes_per_s": 40e9, "peak_macs_per_s": 400e9}


class ShareOfPeak(unittest.TestCase):
    def test_a_prompt_computes_the_output_matrix_once(self):
        self.assertAlmostEqual(share_of_peak(REPORT, Test.parse("pp500"), 200), 200 * (1e9 + 0.25e9 / 500) / 400e9)
        self.assertAlmostEqual(share_of_peak(REPORT, Test.parse("pp1"), 200), 200 * 1.25e9 / 400e9)

    def test_decoding_reads_every_weight_once_a_pass(self):
        self.assertAlmostEqual(share_of_peak(REPORT, Test.parse("tg64"), 30), 0.75)
        self.assertAlmostEqual(share_of_peak(REPORT, Test.parse("tg64@b8"), 240), 0.75)

    def test_kept_rounds_that_counted_it_for_every_token_do_not_tell(self):
        rounds = Rounds("m", "pp512", 2)
        rounds.rounds = [{"watra": {"share": 0.6}}]
        self.assertTrue(math.isnan(rounds.share("watra", Test.parse("pp512"))))
        self.assertEqual(rounds.share("watra", Test.parse("tg64")), 0.6)
        rounds.rounds.append({"watra": {"share": 0.5, "prefill_macs": 1e9}})
        self.assertEqual(rounds.share("watra", Test.parse("pp512")), 0.5)


def some_rounds(n: int, test: str) -> Rounds:
    rounds = Rounds("m", test, 2)
    ours = REPORT | {"rate": 200, "pressure": 1, "share": 0.5, "seconds": {"1": 0.03, "8": 0.05}}
    rounds.rounds = [{"watra": ours, "llama.cpp": {"rate": 100, "pressure": 1}}] * n
    return rounds


class Tables(unittest.TestCase):
    OURS, RIVALS = [Watra("m", 2, "")], [LlamaCpp("m", 2)]

    def bars(self, **n_rounds):
        done = {Test.parse(name.replace("_", "@")): some_rounds(n, name) for name, n in n_rounds.items()}
        return [row.split(" | ")[-1] for row in speed_rows("m", done, self.OURS, self.RIVALS)]

    def test_a_verdict_says_on_how_few_rounds_it_rests(self):
        self.assertEqual(self.bars(pp512=3), ["1.5x llama.cpp: met |"])
        self.assertEqual(self.bars(pp512=2), ["1.5x llama.cpp: met (only 2 rounds) |"])
        self.assertEqual(self.bars(pp512=1), ["1.5x llama.cpp: met (only 1 round) |"])
        self.assertTrue(verify_rows("m", some_rounds(2, "verify"), self.OURS, [1, 8])[1].endswith("(only 2 rounds) |"))

    def test_also_where_the_test_beside_it_has_few(self):
        self.assertTrue(self.bars(tg32_b8=3, tg32_b1=2)[0].endswith("(only 2 rounds) |"))
        self.assertTrue(self.bars(tg128_d8192=3, tg128=1)[0].endswith("(only 1 round) |"))
        self.assertFalse(self.bars(tg128_d8192=3, tg128=3)[0].endswith("rounds) |"))
        self.assertEqual(self.bars(tg32_b4=1), [" |"])


class Outlook(unittest.TestCase):
    def machine(self, ram_gb: float, disk_gb: float = 100):
        return outlook.Machine(8, ["avx512", "avxvnni"], ram_gb * 1e9, disk_gb * 1e9)

    def test_what_does_not_fit_is_left_out_and_said(self):
        names, left_out = outlook.models(self.machine(64), lambda name: False)
        self.assertEqual((len(names), left_out), (14, []))
        names, left_out = outlook.models(self.machine(10), lambda name: False)
        self.assertNotIn("synthetic:llama-8b:q8_0", names)
        self.assertIn("synthetic:llama-8b:q4_0", names)
        self.assertIn("synthetic:llama-8b:q8_0: needs 12 GB of memory, here are 10", left_out)
        self.assertEqual(len(outlook.models(self.machine(64, 6), lambda name: False)[1]), 4)
        self.assertEqual(outlook.models(self.machine(64, 0), lambda name: True)[1], [])

    def test_every_default_test_is_one(self):
        names = [Test.parse(name).name for name in outlook.TESTS if name != "verify"]
        self.assertEqual(names, outlook.TESTS[:-1])

    def test_deep_caches_have_fewer_rounds_but_enough(self):
        self.assertEqual([outlook.rounds_of(Test.parse(t), 5) for t in ("tg128", "tg128@d4096")], [5, 3])
        self.assertEqual(outlook.rounds_of(Test.parse("tg128@d4096"), 1), 1)

    def test_how_long_about(self):
        # Qwen2.5-Coder-1.5B Q4_K_M on two Zen 4 cores: llama.cpp 104 t/s prefill, 29 decode, each with its warm-up.
        about = lambda name: outlook.test_seconds(Test.parse(name), 1.1e9, 1.54e9, 2)
        self.assertTrue(8 < about("pp512") < 30, about("pp512"))
        self.assertTrue(6 < about("tg128") < 30, about("tg128"))
        self.assertGreater(about("tg128@d8192"), 100)
        self.assertEqual((outlook.duration(20), outlook.duration(1200), outlook.duration(36000)), ("1 minutes", "20 minutes", "10 hours"))


if __name__ == "__main__":
    unittest.main()
