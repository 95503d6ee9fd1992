// A model in fewer bits: what becomes of each tensor, how far it is from the source, and that nothing half appears.
#include "workshop/requantize.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <random>

#include "base/fault.h"
#include "checkpoint/gguf_writer.h"
#include "tensor/quantize.h"
#include "workshop/self_draft.h"

namespace watra::workshop {
namespace {

using checkpoint::Checkpoint;
using checkpoint::MetaValue;
using tensor::DType;

class RequantizeTest : public ::testing::Test {
 protected:
  RequantizeTest() : folder_(fs::temp_directory_path() / fmt::format("watra-requantize-{}-{}", getpid(), counter_++)) {
    fs::create_directories(folder_);
  }
  ~RequantizeTest() override { fs::remove_all(folder_); }

  struct Tensor {
    std::string name;
    DType dtype;
    tensor::Shape shape;
  };
  static std::vector<Tensor> tensors(DType matrices) {
    return {{"token_embd.weight", matrices, {64, 512}},     {"blk.0.attn_norm.weight", DType::f32, {512}},
            {"blk.0.attn_q.weight", matrices, {48, 512}},   {"blk.0.attn_q.bias", DType::f32, {48}},
            {"blk.0.ffn_down.weight", matrices, {32, 96}},  {"blk.0.ffn_gate_inp.weight", DType::f32, {4, 512}},
            {"blk.0.odd.weight", DType::f32, {8, 40}},      {"output.weight", matrices, {64, 512}},
            {"blk.0.narrow.weight", DType::q4_0, {16, 512}}};
  }

  fs::path write_source(DType matrices = DType::q8_0, uint32_t seed = 1, float spoil = 0) {
    checkpoint::Metadata meta;
    meta.set("general.architecture", MetaValue::of_string("llama"));
    meta.set("general.name", MetaValue::of_string("source"));
    meta.set("general.file_type", MetaValue::of_u32(7));
    const fs::path path = folder_ / "source.gguf";
    auto writer = checkpoint::GgufWriter::create(path, meta);
    EXPECT_TRUE(writer);
    for (const Tensor& t : tensors(matrices)) EXPECT_TRUE(writer->declare(t.name, t.dtype, t.shape));
    std::mt19937 rng(seed);
    std::normal_distribution<float> gauss(0, 0.02f);
    for (const Tensor& t : tensors(matrices)) {
      std::vector<float> v(static_cast<size_t>(t.shape.elements()));
      for (float& x : v) x = gauss(rng);
      if (spoil != 0 && t.dtype == DType::f32 && t.name == "blk.0.odd.weight") v[5] = spoil;
      if (spoil != 0 && matrices == DType::f32 && t.name == "blk.0.attn_q.weight") v[5] = spoil;
      std::vector<std::byte> bytes(tensor::row_bytes(t.dtype, t.shape.cols()) * static_cast<uint64_t>(t.shape.rows()));
      tensor::quantize_row(t.dtype, v.data(), bytes.data(), t.shape.elements());
      EXPECT_TRUE(writer->write(bytes));
    }
    EXPECT_TRUE(writer->finish());
    return path;
  }

  static std::vector<float> floats(const Checkpoint& file, const std::string& name) {
    const checkpoint::TensorInfo* t = file.find(name);
    EXPECT_TRUE(t) << name;
    std::vector<std::byte> raw(t->size_bytes);
    EXPECT_TRUE(file.read(*t, raw));
    std::vector<float> out(static_cast<size_t>(t->shape.elements()));
    tensor::dequantize_row(t->dtype, raw.data(), out.data(), t->shape.elements());
    return out;
  }

  std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> out;
    for (const auto& e : fs::directory_iterator(folder)) out.push_back(e.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }

  fs::path folder_;
  static inline int counter_ = 0;
};

double nmse(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, power = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    power += a[i] * a[i];
  }
  return error / power;
}

TEST_F(RequantizeTest, EveryTypeIsAsCloseAsItsBitsAllow) {
  const fs::path source = write_source(DType::f32);
  const auto from = Checkpoint::open(source);
  ASSERT_TRUE(from);
  // Gaussian weights; the bounds are a tenth above what the quantizers give.
  const std::map<DType, double> bounds = {{DType::q2_k, 0.11},   {DType::q3_k, 0.035},  {DType::q4_k, 0.0085},
                                          {DType::q5_k, 0.0022}, {DType::q6_k, 0.0006}, {DType::q4_0, 0.0105},
                                          {DType::q5_0, 0.0026}, {DType::q8_0, 0.00005}};
  for (const DType type : requantize_types()) {
    SCOPED_TRACE(tensor::dtype_name(type));
    const auto report = requantize({.source = source, .target = folder_ / "out.gguf", .type = type, .threads = 2});
    ASSERT_TRUE(report) << report.error().to_string();
    const auto made = Checkpoint::open(report->path);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->find("blk.0.attn_q.weight")->dtype, type);
    const double error = nmse(floats(*from, "blk.0.attn_q.weight"), floats(*made, "blk.0.attn_q.weight"));
    EXPECT_LT(error, bounds.at(type));
    EXPECT_GT(error, bounds.at(type) / 10);
    EXPECT_EQ(made->metadata().get_string("general.name"), "source");
    EXPECT_NE(made->metadata().get_u64("general.file_type"), std::nullopt);
    EXPECT_LT(report->bytes, report->source_bytes);
  }
}

TEST_F(RequantizeTest, WhatBecomesOfEachTensor) {
  const fs::path source = write_source();
  const auto report = requantize({.source = source, .target = folder_ / "out.gguf", .type = DType::q2_k, .threads = 1});
  ASSERT_TRUE(report) << report.error().to_string();
  const auto from = Checkpoint::open(source), made = Checkpoint::open(report->path);
  ASSERT_TRUE(from && made);
  EXPECT_EQ(report->n_tensors, 9);
  EXPECT_EQ(report->n_copied, 4);
  EXPECT_EQ(made->find("token_embd.weight")->dtype, DType::q4_k);
  EXPECT_EQ(made->find("output.weight")->dtype, DType::q4_k);
  EXPECT_EQ(made->find("blk.0.attn_q.weight")->dtype, DType::q2_k);
  EXPECT_EQ(made->find("blk.0.ffn_down.weight")->dtype, DType::q4_0);  // 96 columns are no super-blocks
  EXPECT_EQ(made->find("blk.0.narrow.weight")->dtype, DType::q2_k);
  for (const char* copied :
       {"blk.0.attn_norm.weight", "blk.0.attn_q.bias", "blk.0.ffn_gate_inp.weight", "blk.0.odd.weight"}) {
    EXPECT_EQ(made->find(copied)->dtype, DType::f32);
    EXPECT_EQ(floats(*from, copied), floats(*made, copied));
  }
  // The same again gives the same file; one thread or three.
  const auto again = requantize({.source = source, .target = folder_ / "2.gguf", .type = DType::q2_k, .threads = 3});
  ASSERT_TRUE(again);
  std::ifstream a(report->path, std::ios::binary), b(again->path, std::ios::binary);
  const std::string x((std::istreambuf_iterator<char>(a)), {}), y((std::istreambuf_iterator<char>(b)), {});
  EXPECT_EQ(x, y);
}

TEST_F(RequantizeTest, RefusesWhatIsNoUse) {
  const fs::path source = write_source();
  const auto code = [&](const RequantizeOptions& o) {
    const auto r = requantize(o);
    return r ? std::string("made") : r.error().code;
  };
  const fs::path out = folder_ / "out.gguf";
  EXPECT_EQ(code({.source = source, .target = out, .type = DType::iq2_xs}), "requantize.type");
  EXPECT_EQ(code({.source = source, .target = source, .type = DType::q2_k}), "requantize.same_file");
  EXPECT_TRUE(Checkpoint::open(source));
  EXPECT_EQ(code({.source = folder_ / "none.gguf", .target = out}), "file.not_found");
  std::ofstream(folder_ / "text.gguf") << "not a model";
  EXPECT_TRUE(code({.source = folder_ / "text.gguf", .target = out}).starts_with("checkpoint."));
  write_source(DType::f32, 1, NAN);
  EXPECT_EQ(code({.source = source, .target = out, .type = DType::q4_k}), "requantize.not_finite");
  EXPECT_EQ(names_in(folder_), (std::vector<std::string>{"source.gguf", "text.gguf"}));
}

TEST_F(RequantizeTest, AFailureAnywhereLeavesNothing) {
  const fs::path source = write_source();
  for (const char* point : {"file.open", "file.read", "file.write", "file.sync", "file.rename"})
    for (uint64_t nth = 0; nth < 100000; nth = nth < 8 ? nth + 1 : nth * 2) {
      fault::Arm arm(point, nth);
      const auto made =
          requantize({.source = source, .target = folder_ / "out.gguf", .type = DType::q3_k, .threads = 1});
      if (arm.passages() <= nth) {
        EXPECT_TRUE(made);
        fs::remove(folder_ / "out.gguf");
        break;
      }
      EXPECT_FALSE(made) << point << " " << nth;
      EXPECT_EQ(names_in(folder_), (std::vector<std::string>{"source.gguf"})) << point << " " << nth;
    }
}

TEST_F(RequantizeTest, ACancelledOneLeavesNothing) {
  const fs::path source = write_source();
  for (const int after : {0, 3}) {
    int n_asked = 0;
    const auto r = requantize(
        {.source = source, .target = folder_ / "out.gguf", .type = DType::q3_k, .threads = 1, .cancelled = [&] {
           return n_asked++ >= after;
         }});
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, "requantize.cancelled");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1) << "the source alone";
  }
}

TEST_F(RequantizeTest, ASelfDraftIsMadeOnceAndAgainWhenItsSourceChanges) {
  const fs::path source = write_source();
  const SelfDraftOptions options{.home = folder_ / "home", .type = DType::q2_k, .threads = 1};
  EXPECT_FALSE(made_self_draft(source, options.home, options.type));
  const auto first = self_draft(source, options);
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(made_self_draft(source, options.home, options.type), first->path);
  EXPECT_FALSE(made_self_draft(source, options.home, DType::q3_k));
  EXPECT_TRUE(first->was_made);
  ASSERT_TRUE(Checkpoint::open(first->path));
  const auto second = self_draft(source, options);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->was_made);
  EXPECT_EQ(second->path, first->path);

  std::ofstream(first->path, std::ios::trunc) << "spoiled";
  EXPECT_FALSE(made_self_draft(source, options.home, options.type));
  const auto repaired = self_draft(source, options);
  ASSERT_TRUE(repaired);
  EXPECT_TRUE(repaired->was_made);

  write_source(DType::q8_0, 2);
  EXPECT_FALSE(made_self_draft(source, options.home, options.type)) << "it is of what the source was";
  const auto changed = self_draft(source, options);
  ASSERT_TRUE(changed);
  EXPECT_TRUE(changed->was_made);
  EXPECT_NE(changed->path, first->path);
  EXPECT_EQ(names_in(folder_ / "home" / "drafts"),
            (std::vector<std::string>{"lock", changed->path.filename().string()}));
}

TEST_F(RequantizeTest, AKilledProcessLeavesNothingThatCounts) {
  const fs::path source = write_source();
  SelfDraftOptions options{.home = folder_ / "home", .type = DType::q2_k, .threads = 1};
  const pid_t child = fork();
  if (child == 0) {
    options.progress = [](uint64_t done, uint64_t total) {
      if (done > total / 2) raise(SIGKILL);
    };
    (void)self_draft(source, options);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto left = names_in(folder_ / "home" / "drafts");
  ASSERT_EQ(left.size(), 2u);
  EXPECT_TRUE(left[0].ends_with(".part") || left[1].ends_with(".part"));
  options.progress = {};
  const auto made = self_draft(source, options);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_TRUE(made->was_made);
  EXPECT_EQ(names_in(folder_ / "home" / "drafts"), (std::vector<std::string>{"lock", made->path.filename().string()}));
}

}  // namespace
}  // namespace watra::workshop
