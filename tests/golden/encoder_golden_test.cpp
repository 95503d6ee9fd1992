// Encoders against the reference implementation: every text of encoded.bin, through `watra convert`'s own code, must be
// cut into the same tokens, give the reference's hidden states within 1e-4 and its vectors within 1e-5; and a text
// gives the same bits alone, in company, on one thread or two.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "base/must_test.h"
#include "engine/loaded_model.h"
#include "engine/memory_needs.h"
#include "engine/pooled_vector.h"
#include "engine/scheduler.h"
#include "source_folder.h"
#include "workshop/convert.h"

namespace watra::engine {
namespace {

using kernels::KvType;
using model::Pooling;

const fs::path kGolden = fs::path(kSourceFolder) / "tests/golden";
constexpr int64_t kContext = 160;  // of the golden folders

struct Text {
  std::string text;
  std::vector<TokenId> ids;
  std::vector<float> hidden;             // [n_tokens, d_model]
  std::vector<float> mean, first, last;  // of length 1
};

struct Reference {
  int64_t d_model = 0;
  std::vector<Text> texts;
};

template <class T>
void read(std::istream& f, std::vector<T>& out, size_t n) {
  out.resize(n);
  f.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(n * sizeof(T)));
}

Reference read_reference(const fs::path& path) {
  std::ifstream f(path, std::ios::binary);
  char magic[4];
  std::vector<uint32_t> head, sizes;
  f.read(magic, 4);
  read(f, head, 3);
  EXPECT_EQ(std::string_view(magic, 4), "WGEN");
  Reference r{.d_model = head[2], .texts = {}};
  for (uint32_t i = 0; i < head[1]; ++i) {
    Text t;
    std::vector<char> raw;
    read(f, sizes, 2);
    read(f, raw, sizes[0]);
    t.text.assign(raw.begin(), raw.end());
    read(f, t.ids, sizes[1]);
    read(f, t.hidden, size_t{sizes[1]} * head[2]);
    for (auto* pooled : {&t.mean, &t.first, &t.last}) read(f, *pooled, head[2]);
    r.texts.push_back(std::move(t));
  }
  EXPECT_TRUE(f.good()) << path;
  return r;
}

float largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  float worst = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const float e = std::fabs(a[i] - b[i]);
    worst = std::isnan(e) ? INFINITY : std::max(worst, e);
  }
  return worst;
}

class EncoderGolden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    reference_ = read_reference(kGolden / GetParam() / "encoded.bin");
    folder_ = fs::temp_directory_path() / fmt::format("watra-encoder-{}-{}", GetParam(), ::getpid());
    fs::create_directories(folder_);
    gguf_ = convert(workshop::OutType::f32);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path convert(workshop::OutType type) {
    const fs::path path = folder_ / fmt::format("{}.gguf", workshop::out_type_name(type));
    must(workshop::convert({.source = kGolden / GetParam(), .target = path, .out_type = type}));
    return path;
  }

  LoadedModel load(const fs::path& path, const std::string& isa = "", int threads = 2) {
    return must(load_model(path, {.threads = threads, .n_ctx = 4 * kContext, .isa = isa}));
  }

  // Hidden states of all texts: a pass for each, or one pass with rows of several texts, which take turns.
  std::vector<std::vector<float>> encode(Forward& f, std::span<const Text> texts, bool together,
                                         const PassOptions& pass = {}) {
    std::vector<std::vector<float>> out(texts.size());
    std::vector<SequenceId> sequences;
    for (size_t i = 0; i < texts.size(); ++i) sequences.push_back(f.kv().add());
    const auto collect = [&](const Batch& b) {
      must(f.run(b, pass));
      for (size_t row = 0; row < b.rows.size(); ++row) {
        const auto i = static_cast<size_t>(std::ranges::find(sequences, b.rows[row].sequence) - sequences.begin());
        const auto hidden = f.hidden(static_cast<int64_t>(row));
        out[i].insert(out[i].end(), hidden.begin(), hidden.end());
      }
    };
    Batch b;
    if (together) {
      for (size_t at = 0, left = texts.size(); left > 0; ++at) {
        left = 0;
        for (size_t i = 0; i < texts.size(); ++i) {
          if (at >= texts[i].ids.size()) continue;
          b.rows.push_back({.token = texts[i].ids[at], .sequence = sequences[i], .wants_hidden = true});
          ++left;
        }
      }
      collect(b);
    }
    for (size_t i = 0; i < texts.size() && !together; ++i) {
      b.clear();
      b.add_chain(sequences[i], texts[i].ids.data(), static_cast<int64_t>(texts[i].ids.size()), false);
      for (Row& row : b.rows) row.wants_hidden = true;
      collect(b);
    }
    for (const SequenceId s : sequences) f.kv().remove(s);
    return out;
  }

  Reference reference_;
  fs::path folder_, gguf_;
};

TEST_P(EncoderGolden, TokensAreTheReferences) {
  const LoadedModel m = load(gguf_);
  for (const Text& t : reference_.texts) EXPECT_EQ(m.tokenizer->encode(t.text, {.add_special = true}), t.ids) << t.text;
}

TEST_P(EncoderGolden, HiddenStatesMatchTheReferenceOnEveryIsa) {
  for (const kernels::Kernels* k : kernels::available()) {
    const LoadedModel m = load(gguf_, std::string(k->isa));
    const auto got = encode(*m.forward, reference_.texts, false);
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_LE(largest_difference(got[i], reference_.texts[i].hidden), 1e-4f)
          << k->isa << ", " << reference_.texts[i].ids.size() << " tokens";
  }
}

TEST_P(EncoderGolden, CompanyAndThreadsChangeNoBit) {
  for (const kernels::Kernels* k : kernels::available()) {
    const LoadedModel m = load(gguf_, std::string(k->isa)), one = load(gguf_, std::string(k->isa), 1);
    const auto alone = encode(*m.forward, reference_.texts, false);
    EXPECT_EQ(encode(*m.forward, reference_.texts, true), alone) << k->isa << ", together";
    EXPECT_EQ(encode(*one.forward, reference_.texts, true), alone) << k->isa << ", together on one thread";
  }
}

TEST_P(EncoderGolden, NothingIsKeptAndWhatCannotBeIsRefused) {
  const LoadedModel m = load(gguf_);
  Forward& f = *m.forward;
  EXPECT_EQ(f.options().n_ctx, kContext);  // not what was asked for: there are no more positions
  EXPECT_GE(f.options().max_rows, kContext);
  const int64_t free_pages = f.kv().free_pages();
  const SequenceId s = f.kv().add();
  const Text& t = reference_.texts.back();
  Batch b;
  b.add_chain(s, t.ids.data(), static_cast<int64_t>(t.ids.size()), false);
  must(f.run(b));
  EXPECT_EQ(f.kv().length(s), 0);

  const auto refused = [&](const Batch& batch) {
    const Status ran = f.run(batch);
    return !ran && ran.error().code == "forward.bad_batch";
  };
  Batch bad = b;
  bad.rows.back().wants_logits = true;
  EXPECT_TRUE(refused(bad)) << "an encoder has no logits";
  bad = b;
  bad.rows.back().parent = 0;
  EXPECT_TRUE(refused(bad)) << "a tree";
  if (m.model->hparams().ropes.empty()) {
    bad = b;
    bad.rows.back().position[0] = static_cast<int32_t>(kContext);
    EXPECT_TRUE(refused(bad)) << "a position behind the table";
  }
  must(f.run(b));
  f.kv().remove(s);
  EXPECT_EQ(f.kv().free_pages(), free_pages);
}

TEST_P(EncoderGolden, APassCanStopBetweenLayersAndTapsSeeEveryOp) {
  const LoadedModel m = load(gguf_);
  Forward& f = *m.forward;
  const std::span<const Text> texts(reference_.texts.data() + 4, 1);
  const auto whole = encode(f, texts, false);
  int64_t n_seen = 0;
  const std::function<void(const Tap&)> tap = [&](const Tap& t) {
    ++n_seen;
    for (int64_t i = 0; i < t.output_width; ++i) ASSERT_TRUE(std::isfinite(t.output[i]));
  };
  EXPECT_EQ(encode(f, texts, false, {.tap = &tap}), whole);
  const auto& g = m.model->graph();
  EXPECT_EQ(n_seen, static_cast<int64_t>(m.model->hparams().n_layers * g.layer_ops(0).size() + g.head.size()));

  const SequenceId s = f.kv().add();
  Batch b;
  b.add_chain(s, texts[0].ids.data(), static_cast<int64_t>(texts[0].ids.size()), false);
  for (Row& row : b.rows) row.wants_hidden = true;
  must(f.run(b, {.last_layer = 1}));
  const auto d = static_cast<size_t>(reference_.d_model), stride = (d + 15) / 16 * 16;
  std::vector<float> half;
  for (size_t i = 0; i < b.rows.size(); ++i)
    half.insert(half.end(), f.residual() + i * stride, f.residual() + i * stride + d);
  must(f.run(b, {.first_layer = 1, .hidden_in = half.data()}));
  for (size_t i = 0; i < b.rows.size(); ++i)
    EXPECT_EQ(0, std::memcmp(f.hidden(static_cast<int64_t>(i)).data(), whole[0].data() + i * d, d * sizeof(float)));
  f.kv().remove(s);
}

TEST_P(EncoderGolden, HalfPrecisionWeightsStayClose) {
  const LoadedModel m = load(convert(workshop::OutType::f16));
  const auto got = encode(*m.forward, reference_.texts, true);
  for (size_t i = 0; i < got.size(); ++i) {
    double dot = 0, a = 0, b = 0;
    for (size_t j = 0; j < got[i].size(); ++j) {
      const double x = got[i][j], y = reference_.texts[i].hidden[j];
      dot += x * y, a += x * x, b += y * y;
    }
    EXPECT_GT(dot / std::sqrt(a * b), 0.9999) << i;
  }
}

TEST_P(EncoderGolden, VectorsOfEveryPoolingMatchTheReference) {
  const LoadedModel m = load(gguf_);
  EXPECT_EQ(m.model->hparams().pooling, GetParam() == "bert" ? Pooling::first : Pooling::mean);
  for (const Text& t : reference_.texts) {
    const auto n = static_cast<int64_t>(t.ids.size());
    PooledVector mean(Pooling::mean, n), first(Pooling::first, n), last(Pooling::last, n);
    for (int64_t p = 0; p < n; ++p)
      for (auto* v : {&mean, &first, &last})
        v->add(p, std::span(t.hidden).subspan(static_cast<size_t>(p * reference_.d_model),
                                              static_cast<size_t>(reference_.d_model)));
    EXPECT_LE(largest_difference(mean.normalized(), t.mean), 1e-6f);
    EXPECT_LE(largest_difference(first.normalized(), t.first), 1e-6f);
    EXPECT_LE(largest_difference(last.normalized(), t.last), 1e-6f);
    const auto cut = mean.normalized(7);
    ASSERT_EQ(cut.size(), 7u);
    double square = 0;
    for (const float v : cut) square += double{v} * v;
    EXPECT_NEAR(square, 1, 1e-5);
  }
}

// As a server asks: more texts than one pass holds, some twice, one of them taken back.
TEST_P(EncoderGolden, TheSchedulerGivesTheReferencesVectors) {
  LoadedModel m = load(gguf_);
  const Pooling pooling = m.model->hparams().pooling;
  const int64_t n_pages = m.forward->kv().free_pages();
  auto scheduler = must(Scheduler::create(std::move(m)));
  struct Waiting {
    const Text* text;
    std::shared_ptr<PooledVector> vector;
    RequestHandle handle;
  };
  std::vector<Waiting> waiting;
  const auto ask = [&](const Text& t) {
    auto vector = std::make_shared<PooledVector>(pooling, static_cast<int64_t>(t.ids.size()));
    Request r{.prompt = t.ids, .generate = {.max_tokens = 0}};
    r.events.prompt_hidden = [vector](int64_t p, std::span<const float> hidden) { vector->add(p, hidden); };
    waiting.push_back({&t, vector, must(scheduler->submit(std::move(r)))});
  };
  for (int round = 0; round < 20; ++round)
    for (const Text& t : reference_.texts) ask(t);
  ask(reference_.texts[3]);
  waiting.back().handle.cancel();
  int n_steps = 0;
  while (scheduler->step()) ++n_steps;
  for (size_t i = 0; i + 1 < waiting.size(); ++i) {
    const Finished& f = waiting[i].handle.wait();
    const Text& t = *waiting[i].text;
    EXPECT_FALSE(f.error);
    EXPECT_EQ(f.stats.n_prompt, static_cast<int64_t>(t.ids.size()));
    EXPECT_LE(largest_difference(waiting[i].vector->normalized(), pooling == Pooling::first ? t.first : t.mean), 1e-5f);
  }
  EXPECT_EQ(waiting.back().handle.wait().reason, FinishReason::cancelled);
  EXPECT_LT(n_steps, 90) << "180 texts of 7500 tokens share passes";
  EXPECT_EQ(scheduler->model().forward->kv().free_pages(), n_pages);

  Request words{.prompt = reference_.texts[3].ids};
  const auto asked = scheduler->submit(std::move(words));
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, "model.is_encoder");
  Request longer{.prompt = std::vector<TokenId>(kContext + 1, 5), .generate = {.max_tokens = 0}};
  const auto too_long = scheduler->submit(std::move(longer));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, "context.overflow");
}

INSTANTIATE_TEST_SUITE_P(Models, EncoderGolden, testing::Values("bert", "nomic-bert"),
                         [](const auto& test) { return test.param == "bert" ? "bert" : "nomic_bert"; });

}  // namespace
}  // namespace watra::engine
