#include "engine/tiny_model_test.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>

#include "checkpoint/gguf_writer.h"
#include "model/synthetic.h"

namespace watra::engine {

using checkpoint::MetaValue;
using tensor::DType;

fs::path write_tiny_model(const fs::path& folder, const TinyModel& m) {
  checkpoint::Metadata meta;
  const std::string p = m.architecture + ".";
  meta.set("general.architecture", MetaValue::of_string(m.architecture));
  meta.set(p + "block_count", MetaValue::of_u32(static_cast<uint32_t>(m.n_layers)));
  meta.set(p + "context_length", MetaValue::of_u32(1024));
  meta.set(p + "embedding_length", MetaValue::of_u32(static_cast<uint32_t>(m.d_model)));
  meta.set(p + "feed_forward_length", MetaValue::of_u32(static_cast<uint32_t>(m.d_ff)));
  meta.set(p + "attention.head_count", MetaValue::of_u32(static_cast<uint32_t>(m.n_heads)));
  meta.set(p + "attention.head_count_kv", MetaValue::of_u32(static_cast<uint32_t>(m.n_kv_heads)));
  meta.set(p + "attention.key_length", MetaValue::of_u32(static_cast<uint32_t>(m.d_head)));
  meta.set(p + "attention.value_length", MetaValue::of_u32(static_cast<uint32_t>(m.d_head)));
  meta.set("tokenizer.ggml.model", MetaValue::of_string("no_vocab"));

  struct Tensor {
    std::string name;
    DType dtype;
    tensor::Shape shape;
  };
  std::vector<Tensor> tensors;
  const int64_t q = m.n_heads * m.d_head, kv = m.n_kv_heads * m.d_head;
  tensors.push_back({"token_embd.weight", m.dtype, {m.n_vocab, m.d_model}});
  for (int64_t i = 0; i < m.n_layers; ++i) {
    const std::string l = "blk." + std::to_string(i) + ".";
    tensors.push_back({l + "attn_norm.weight", DType::f32, {m.d_model}});
    if (m.architecture == "phi3") {
      tensors.push_back({l + "attn_qkv.weight", m.dtype, {q + 2 * kv, m.d_model}});
    } else {
      tensors.push_back({l + "attn_q.weight", m.dtype, {q, m.d_model}});
      tensors.push_back({l + "attn_k.weight", m.dtype, {kv, m.d_model}});
      tensors.push_back({l + "attn_v.weight", m.dtype, {kv, m.d_model}});
    }
    tensors.push_back({l + "attn_output.weight", m.dtype, {m.d_model, q}});
    tensors.push_back({l + "ffn_norm.weight", DType::f16, {m.d_model}});
    if (m.architecture == "phi3") {
      tensors.push_back({l + "ffn_up.weight", m.dtype, {2 * m.d_ff, m.d_model}});
    } else {
      tensors.push_back({l + "ffn_gate.weight", m.dtype, {m.d_ff, m.d_model}});
      tensors.push_back({l + "ffn_up.weight", m.dtype, {m.d_ff, m.d_model}});
    }
    tensors.push_back({l + "ffn_down.weight", m.dtype, {m.d_model, m.d_ff}});
  }
  tensors.push_back({"output_norm.weight", DType::f32, {m.d_model}});
  if (!m.tied) tensors.push_back({"output.weight", m.dtype, {m.n_vocab, m.d_model}});

  const auto written = [&]() -> Result<std::vector<fs::path>> {
    WATRA_ASSIGN(auto writer,
                 checkpoint::GgufWriter::create(folder / "tiny.gguf", meta, {.max_split_bytes = m.max_split_bytes}));
    for (const Tensor& t : tensors) WATRA_TRY(writer.declare(t.name, t.dtype, t.shape));
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Tensor& t = tensors[i];
      std::vector<std::byte> bytes(tensor::row_bytes(t.dtype, t.shape.cols()) * static_cast<uint64_t>(t.shape.rows()));
      WATRA_TRY(model::fill_synthetic(t.dtype, bytes, i + 1));
      WATRA_TRY(writer.write(bytes));
    }
    return writer.finish();
  }();
  if (!written) {
    ADD_FAILURE() << written.error().to_string();
    return {};
  }
  return written->front();
}

TestFolder::TestFolder() {
  static std::atomic<int> n{0};
  // Beside the tests rather than in /tmp, which may be a file system without direct reads.
  path_ = fs::current_path() / ("engine-test-" + std::to_string(::getpid()) + "-" + std::to_string(n++));
  fs::create_directories(path_);
}
TestFolder::~TestFolder() {
  std::error_code ec;
  fs::remove_all(path_, ec);
}

}  // namespace watra::engine
