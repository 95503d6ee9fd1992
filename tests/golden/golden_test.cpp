// The forward pass against the reference implementation: every model of models.txt, converted by `watra convert`'s own
// code, must give the reference's logits within 1e-4, however the tokens are cut into passes; and all cuts must agree
// to the bit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/must_test.h"
#include "checkpoint/gguf_writer.h"
#include "engine/forward.h"
#include "source_folder.h"
#include "workshop/convert.h"

namespace watra::engine {
namespace {

struct Case {
  std::string name, folder, logits;
  int64_t n_ctx;
  friend std::ostream& operator<<(std::ostream& os, const Case& c) { return os << c.name; }
};

const fs::path kGolden = fs::path(kSourceFolder) / "tests/golden";

std::vector<Case> cases() {
  std::vector<Case> out;
  std::ifstream f(kGolden / "models.txt");
  for (std::string line; std::getline(f, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    Case c;
    fields >> c.name >> c.folder >> c.logits >> c.n_ctx;
    out.push_back(c);
  }
  return out;
}

struct Reference {
  std::vector<TokenId> ids;
  int64_t n_vocab = 0;
  std::vector<float> logits;  // [n_tokens, n_vocab]
  const float* row(int64_t t) const { return logits.data() + t * n_vocab; }
};

Reference read_reference(const fs::path& path) {
  std::ifstream f(path, std::ios::binary);
  char magic[4];
  uint32_t head[3];
  f.read(magic, 4).read(reinterpret_cast<char*>(head), 12);
  EXPECT_EQ(std::string_view(magic, 4), "WGLD");
  Reference r;
  r.ids.resize(head[1]);
  r.n_vocab = head[2];
  r.logits.resize(size_t{head[1]} * head[2]);
  f.read(reinterpret_cast<char*>(r.ids.data()), static_cast<std::streamsize>(r.ids.size() * 4));
  f.read(reinterpret_cast<char*>(r.logits.data()), static_cast<std::streamsize>(r.logits.size() * 4));
  EXPECT_TRUE(f.good()) << path;
  return r;
}

class Golden : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    reference_ = read_reference(kGolden / GetParam().folder / GetParam().logits);
    folder_ = fs::temp_directory_path() / ("watra-golden-" + GetParam().name + "-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    gguf_ = folder_ / "model.gguf";
    must(workshop::convert(
        {.source = kGolden / GetParam().folder, .target = gguf_, .out_type = workshop::OutType::f32}));
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<Forward> open(const fs::path& path, const kernels::Kernels& k, int threads = 2,
                                int64_t max_rows = 512, const KvTypes& kv = {KvType::f32, KvType::f32}) {
    auto model = must(model::Model::open(path));
    auto team = std::make_shared<ThreadTeam>(threads);
    std::shared_ptr<const Residency> weights = must(Residency::load(model, *team, nullptr));
    // Room for four sequences; longrope chooses its factors by n_ctx, so that stays the case's own.
    return must(Forward::create(model, weights, team, k,
                                {.n_ctx = GetParam().n_ctx,
                                 .max_rows = max_rows,
                                 .max_logit_rows = max_rows,
                                 .n_sequences = 4,
                                 .kv_types = kv}));
  }

  using Logits = std::vector<float>;  // [n_tokens, n_vocab]

  // Runs all tokens as one sequence, `cut` of them a pass.
  Logits run_cut(Forward& f, int64_t cut, const PassOptions& pass = {}) {
    const SequenceId s = f.kv().add();
    Logits out;
    for (size_t at = 0; at < reference_.ids.size();) {
      const size_t n = std::min<size_t>(static_cast<size_t>(cut), reference_.ids.size() - at);
      Batch b;
      b.add_chain(s, reference_.ids.data() + at, static_cast<int64_t>(n), false);
      for (auto& r : b.rows) r.wants_logits = true;
      must(f.run(b, pass));
      for (size_t i = 0; i < n; ++i)
        out.insert(out.end(), f.logits(static_cast<int64_t>(i)).begin(), f.logits(static_cast<int64_t>(i)).end());
      at += n;
    }
    f.kv().remove(s);
    return out;
  }

  float max_error(const Logits& got) const {
    EXPECT_EQ(got.size(), reference_.logits.size());
    float worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const float e = std::fabs(got[i] - reference_.logits[i]);
      worst = std::isnan(e) ? INFINITY : std::max(worst, e);
    }
    return worst;
  }

  Reference reference_;
  fs::path folder_, gguf_;
};

TEST_P(Golden, LogitsMatchTheReferenceOnEveryIsa) {
  for (const kernels::Kernels* k : kernels::available()) {
    auto f = open(gguf_, *k);
    EXPECT_LE(max_error(run_cut(*f, 512)), 1e-4f) << k->isa;
  }
}

TEST_P(Golden, EveryCutIntoPassesGivesTheSameBits) {
  for (const kernels::Kernels* k : kernels::available()) {
    auto f = open(gguf_, *k);
    const Logits whole = run_cut(*f, 512);
    for (const int64_t cut : {1, 2, 7, 16, 33}) EXPECT_EQ(run_cut(*f, cut), whole) << k->isa << ", passes of " << cut;
    auto alone = open(gguf_, *k, 1, 64);
    EXPECT_EQ(run_cut(*alone, 64), whole) << k->isa << ", one thread, passes of 64";
  }
}

TEST_P(Golden, HalfPrecisionCacheStaysClose) {
  auto f = open(gguf_, *must(kernels::select()), 2, 512, KvTypes());
  EXPECT_LE(max_error(run_cut(*f, 17)), 2e-2f);
}

// Mean KL divergence of the rows' distributions to those of `truth`.
double mean_kld(const std::vector<float>& truth, const std::vector<float>& got, int64_t n_vocab) {
  const auto log_softmax = [&](const float* x) {
    double highest = x[0], sum = 0;
    for (int64_t i = 0; i < n_vocab; ++i) highest = std::max<double>(highest, x[i]);
    for (int64_t i = 0; i < n_vocab; ++i) sum += std::exp(x[i] - highest);
    std::vector<double> out(static_cast<size_t>(n_vocab));
    for (int64_t i = 0; i < n_vocab; ++i) out[static_cast<size_t>(i)] = x[i] - highest - std::log(sum);
    return out;
  };
  double kld = 0;
  for (size_t at = 0; at < truth.size(); at += static_cast<size_t>(n_vocab)) {
    const auto p = log_softmax(truth.data() + at), q = log_softmax(got.data() + at);
    for (size_t i = 0; i < p.size(); ++i) kld += std::exp(p[i]) * (p[i] - q[i]);
  }
  return kld * static_cast<double>(n_vocab) / static_cast<double>(truth.size());
}

TEST_P(Golden, QuantizedCachesStayCloseAndGiveTheSameBitsForEveryCut) {
  for (const kernels::Kernels* k : kernels::available()) {
    if (kernels::is_truth(*k)) continue;
    // The most that rounding was seen to cost these random models is 6.3e-4 and 0.125; a step 16 times as wide should
    // cost about 250 times as much.
    for (const auto& [type, most] : {std::pair{KvType::q8_0, 1e-3}, {KvType::q4_0, 0.2}}) {
      auto f = open(gguf_, *k, 2, 512, {type, type});
      const Logits whole = run_cut(*f, 512);
      EXPECT_LE(mean_kld(reference_.logits, whole, reference_.n_vocab), most)
          << k->isa << ' ' << kernels::kv_type_name(type);
      for (const int64_t cut : {1, 7}) EXPECT_EQ(run_cut(*f, cut), whole) << k->isa << ", passes of " << cut;
    }
  }
}

TEST_P(Golden, LayersMayHaveTypesOfTheirOwn) {
  const KvTypes types = KvTypes(KvType::q8_0, KvType::q4_0).with(0, 0, {KvType::f16, KvType::f32});
  for (const kernels::Kernels* k : kernels::available()) {
    if (kernels::is_truth(*k)) continue;
    auto f = open(gguf_, *k, 2, 512, types);
    const Logits whole = run_cut(*f, 512);
    EXPECT_LE(mean_kld(reference_.logits, whole, reference_.n_vocab), 0.2) << k->isa;
    for (const int64_t cut : {1, 7}) EXPECT_EQ(run_cut(*f, cut), whole) << k->isa << ", passes of " << cut;
  }
}

TEST_P(Golden, SplitFilesGiveTheSameBits) {
  auto f = open(gguf_, *must(kernels::select()));
  const Logits whole = run_cut(*f, 512);

  auto file = must(checkpoint::Checkpoint::open(gguf_));
  auto writer =
      must(checkpoint::GgufWriter::create(folder_ / "parts.gguf", file.metadata(), {.max_split_bytes = 100'000}));
  for (const auto& t : file.tensors()) must(writer.declare(t.name, t.dtype, t.shape));
  for (const auto& t : file.tensors()) {
    std::vector<std::byte> bytes(t.size_bytes);
    must(file.read(t, bytes));
    must(writer.write(bytes));
  }
  const auto paths = must(writer.finish());
  ASSERT_GT(paths.size(), 1u);
  auto split = open(paths.back(), *must(kernels::select()));
  EXPECT_EQ(run_cut(*split, 512), whole);
}

TEST_P(Golden, CacheReuseRollBackAndForksGiveTheSameBits) {
  auto f = open(gguf_, *must(kernels::select()));
  const Logits whole = run_cut(*f, 512);
  const auto n = static_cast<int64_t>(reference_.ids.size());
  const auto v = static_cast<size_t>(reference_.n_vocab);
  const auto expect_last = [&](int64_t row, const char* what) {
    const auto got = f->logits(0);
    EXPECT_EQ(0, std::memcmp(got.data(), whole.data() + static_cast<size_t>(row) * v, v * sizeof(float))) << what;
  };
  const SequenceId s = f->kv().add();
  Batch b;
  b.add_chain(s, reference_.ids.data(), n / 2, true);
  must(f->run(b));
  expect_last(n / 2 - 1, "first half");

  // Something else is read, then taken back.
  const std::vector<TokenId> other(static_cast<size_t>(n / 4), 5);
  b.clear();
  b.add_chain(s, other.data(), n / 4, true);
  must(f->run(b));
  f->kv().truncate(s, n / 2);
  b.clear();
  b.add_chain(s, reference_.ids.data() + n / 2, n - n / 2, true);
  if (2 * n <= GetParam().n_ctx + n / 2) {  // a fork needs pages of its own
    const SequenceId child = must(f->kv().fork(s, n / 2 - 3));
    must(f->run(b));
    expect_last(n - 1, "after rolling back");
    b.clear();
    b.add_chain(child, reference_.ids.data() + n / 2 - 3, n - (n / 2 - 3), true);
    must(f->run(b));
    expect_last(n - 1, "the fork");
  } else {
    must(f->run(b));
    expect_last(n - 1, "after rolling back");
  }
}

TEST_P(Golden, DraftTreesGiveTheBitsOfPlainDecoding) {
  auto f = open(gguf_, *must(kernels::select()));
  const Logits whole = run_cut(*f, 512);
  const auto v = static_cast<size_t>(reference_.n_vocab);
  const int64_t base = static_cast<int64_t>(reference_.ids.size()) - 6;
  const auto id = [&](int64_t i) { return reference_.ids[static_cast<size_t>(base + i)]; };
  const SequenceId s = f->kv().add();
  Batch b;
  b.add_chain(s, reference_.ids.data(), base, false);
  must(f->run(b));

  // The true continuation 0 -> 2 -> 3 -> 5 -> 6 among wrong branches 1, 4, 7.
  b.clear();
  const auto add = [&](TokenId t, int32_t parent) {
    b.rows.push_back({.token = t, .sequence = s, .parent = parent, .wants_logits = true});
  };
  add(id(0), kFromCache);
  add(7, kFromCache);
  add(id(1), 0);
  add(id(2), 2);
  add(9, 0);
  add(id(3), 3);
  add(id(4), 5);
  add(11, 4);
  must(f->run(b));
  const int64_t path[] = {0, 2, 3, 5, 6};
  for (int64_t i = 0; i < 5; ++i)
    EXPECT_EQ(
        0, std::memcmp(f->logits(path[i]).data(), whole.data() + static_cast<size_t>(base + i) * v, v * sizeof(float)))
        << "tree row " << path[i];

  const int32_t kept[] = {0, 2, 3, 5, 6};
  f->kv().keep_path(s, kept);
  EXPECT_EQ(f->kv().length(s), base + 5);
  b.clear();
  const TokenId last = id(5);
  b.add_chain(s, &last, 1, true);
  must(f->run(b));
  EXPECT_EQ(0, std::memcmp(f->logits(0).data(), whole.data() + static_cast<size_t>(base + 5) * v, v * sizeof(float)))
      << "after the tree";
}

TEST_P(Golden, SequencesInOnePassDoNotSeeEachOther) {
  auto f = open(gguf_, *must(kernels::select()));
  const Logits whole = run_cut(*f, 512);
  const auto v = static_cast<size_t>(reference_.n_vocab);
  const int64_t n = std::min<int64_t>(20, GetParam().n_ctx / 4);
  const SequenceId a = f->kv().add();
  Batch b;
  if (f->kv().total_positions() < 2 * kernels::kKvPage) GTEST_SKIP() << "one page: no room for two sequences";
  const SequenceId c = f->kv().add();
  for (int64_t i = 0; i < n; ++i) {
    b.rows.push_back({.token = reference_.ids[static_cast<size_t>(i)], .sequence = a, .wants_logits = true});
    b.rows.push_back({.token = 3, .sequence = c, .wants_logits = true});
  }
  must(f->run(b));
  for (int64_t i = 0; i < n; ++i)
    EXPECT_EQ(0, std::memcmp(f->logits(2 * i).data(), whole.data() + static_cast<size_t>(i) * v, v * sizeof(float)))
        << i;
}

TEST_P(Golden, APassCanStopBetweenLayersAndGoOn) {
  auto f = open(gguf_, *must(kernels::select()));
  const Logits whole = run_cut(*f, 512);
  const auto d = static_cast<size_t>(f->model().hparams().d_model);
  const SequenceId s = f->kv().add();
  Batch b;
  b.add_chain(s, reference_.ids.data(), static_cast<int64_t>(reference_.ids.size()), false);
  for (auto& r : b.rows) r.wants_hidden = true;
  must(f->run(b, {.last_layer = 1}));
  EXPECT_EQ(f->kv().length(s), 0);
  const std::vector<float> hidden = [&] {
    std::vector<float> h;
    const auto stride = (d + 15) / 16 * 16;
    for (size_t i = 0; i < b.rows.size(); ++i)
      h.insert(h.end(), f->residual() + i * stride, f->residual() + i * stride + d);
    return h;
  }();
  must(f->run(b, {.first_layer = 1, .hidden_in = hidden.data()}));
  const auto last = static_cast<int64_t>(b.rows.size()) - 1;
  must(f->project(last, 1));
  EXPECT_EQ(0, std::memcmp(f->logits(0).data(), whole.data() + static_cast<size_t>(last * reference_.n_vocab),
                           static_cast<size_t>(reference_.n_vocab) * sizeof(float)));
}

TEST_P(Golden, TapsSeeEveryOpAndChangeNothing) {
  auto f = open(gguf_, *must(kernels::select()));
  const Logits whole = run_cut(*f, 512);
  int64_t n_seen = 0, n_linear = 0;
  const std::function<void(const Tap&)> tap = [&](const Tap& t) {
    ++n_seen;
    n_linear += t.op->kind == model::OpKind::linear;
    EXPECT_GT(t.n_rows, 0);
    for (int64_t i = 0; i < t.output_width; ++i) ASSERT_TRUE(std::isfinite(t.output[i]));
  };
  const PassOptions pass{.tap = &tap};
  EXPECT_EQ(run_cut(*f, 512, pass), whole);
  const auto& g = f->model().graph();
  int64_t n_ops = static_cast<int64_t>(g.head.size());
  for (int i = 0; i < f->model().hparams().n_layers; ++i) n_ops += static_cast<int64_t>(g.layer_ops(i).size());
  EXPECT_EQ(n_seen, n_ops);
  EXPECT_EQ(n_linear, 7 * f->model().hparams().n_layers + 1);
}

TEST_P(Golden, CancellingLeavesTheCacheAsItWas) {
  auto f = open(gguf_, *must(kernels::select()));
  const SequenceId s = f->kv().add();
  Batch b;
  b.add_chain(s, reference_.ids.data(), 8, true);
  std::atomic<bool> cancel{true};
  const Status ran = f->run(b, {.cancel = &cancel});
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().code, "forward.cancelled");
  EXPECT_EQ(f->kv().length(s), 0);
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, testing::ValuesIn(cases()), [](const auto& test) {
  std::string name = test.param.name;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
});

}  // namespace
}  // namespace watra::engine
