#include "model/quant_mix.h"

#include <algorithm>

namespace watra::model {
namespace {

using tensor::DType;
using enum QuantMix;

constexpr QuantMixInfo kMixes[] = {
    {f32, "F32", DType::f32},          {bf16, "BF16", DType::bf16},
    {f16, "F16", DType::f16},          {q8_0, "Q8_0", DType::q8_0},
    {q6_k, "Q6_K", DType::q6_k},       {q5_k_m, "Q5_K_M", DType::q5_k},
    {q5_k_s, "Q5_K_S", DType::q5_k},   {q5_1, "Q5_1", DType::q5_1},
    {q5_0, "Q5_0", DType::q5_0},       {q4_k_m, "Q4_K_M", DType::q4_k},
    {q4_k_s, "Q4_K_S", DType::q4_k},   {q4_1, "Q4_1", DType::q4_1},
    {q4_0, "Q4_0", DType::q4_0},       {iq4_nl, "IQ4_NL", DType::iq4_nl},
    {iq4_xs, "IQ4_XS", DType::iq4_xs}, {q3_k_l, "Q3_K_L", DType::q3_k},
    {q3_k_m, "Q3_K_M", DType::q3_k},   {q3_k_s, "Q3_K_S", DType::q3_k},
    {iq3_m, "IQ3_M", DType::iq3_s},    {iq3_s, "IQ3_S", DType::iq3_s},
    {iq3_xs, "IQ3_XS", DType::iq3_s},  {iq3_xxs, "IQ3_XXS", DType::iq3_xxs},
    {q2_k, "Q2_K", DType::q2_k},       {q2_k_s, "Q2_K_S", DType::q2_k},
    {iq2_m, "IQ2_M", DType::iq2_s},    {iq2_s, "IQ2_S", DType::iq2_xs},
    {iq2_xs, "IQ2_XS", DType::iq2_xs}, {iq2_xxs, "IQ2_XXS", DType::iq2_xxs},
    {iq1_m, "IQ1_M", DType::iq1_m},    {iq1_s, "IQ1_S", DType::iq1_s},
};

constexpr bool is_any(QuantMix mix, std::initializer_list<QuantMix> list) {
  return std::find(list.begin(), list.end(), mix) != list.end();
}

enum class Kind { other, output, token_embd, qkv, v, k, q, attn_output, gate, up, down };

Kind kind_of(std::string_view name) {
  constexpr std::pair<std::string_view, Kind> kinds[] = {
      {"attn_qkv.weight", Kind::qkv},
      {"attn_v.weight", Kind::v},
      {"attn_k.weight", Kind::k},
      {"attn_q.weight", Kind::q},
      {"attn_output.weight", Kind::attn_output},
      {"ffn_up", Kind::up},
      {"ffn_gate", Kind::gate},
      {"ffn_down", Kind::down},
  };
  if (name == "output.weight") return Kind::output;
  if (name == "token_embd.weight") return Kind::token_embd;
  for (const auto& [part, kind] : kinds)
    if (name.find(part) != std::string_view::npos) return kind;
  return Kind::other;
}

// The first and the last eighth of the layers, and every third between.
bool gets_more_bits(int i, int n) { return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }

struct Asked {
  QuantMix mix;
  const MixNetwork& net;
  int layer;
  DType base;
  bool first_eighth() const { return layer < net.n_layers / 8; }
  bool more_bits() const { return gets_more_bits(layer, net.n_layers); }
  bool shares_heads() const { return net.n_heads >= 4 * net.n_kv_heads; }  // four queries or more to each value
  bool eight_experts() const { return net.n_experts == 8; }
  bool is_falcon() const { return net.architecture == "falcon"; }
  // A 70B of the Llama family: its value matrix is an eighth of the query matrix, so more bits cost next to nothing.
  bool is_llama_70b() const {
    return net.architecture == "llama" && net.n_layers == 80 && net.n_heads != net.n_kv_heads;
  }
  bool is_two_bit() const { return is_any(mix, {iq2_xxs, iq2_xs, iq2_s, iq2_m, iq1_m, iq1_s}); }
};

DType output_dtype(const Asked& a, int64_t cols) {
  if (a.is_falcon() || cols % tensor::traits(a.base).block_elements != 0) return DType::q8_0;
  if (a.is_two_bit() || a.mix == iq3_xxs) return DType::q5_k;
  return a.base == DType::q8_0 ? DType::q8_0 : DType::q6_k;
}

DType embedding_dtype(const Asked& a) {
  if (is_any(a.mix, {iq2_xxs, iq2_xs, iq1_s, iq1_m})) return DType::q2_k;
  if (is_any(a.mix, {iq2_s, iq2_m, iq3_xxs})) return DType::iq3_s;
  return a.base;
}

DType two_bit_dtype(const Asked& a, Kind kind) {
  const DType raised = is_any(a.mix, {iq2_s, iq2_m}) ? DType::iq3_s : DType::q2_k;
  switch (kind) {
    case Kind::v:
    case Kind::qkv:
      return a.shares_heads() || a.net.n_experts >= 4 ? DType::q4_k : raised;
    case Kind::k:
      return a.eight_experts() ? DType::q4_k : a.base;
    case Kind::down:
      return a.first_eighth() ? raised : a.base;
    case Kind::attn_output:
      if (a.eight_experts()) return DType::q5_k;
      return is_any(a.mix, {iq1_s, iq1_m}) ? DType::iq2_xxs : is_any(a.mix, {iq2_s, iq2_m}) ? DType::iq3_s : a.base;
    default:
      return a.base;
  }
}

DType value_dtype(const Asked& a) {
  DType d = a.base;
  if (a.mix == q2_k)
    d = a.shares_heads() ? DType::q4_k : DType::q3_k;
  else if (is_any(a.mix, {q2_k_s, iq3_xxs, iq3_xs, iq3_s}) && a.shares_heads())
    d = DType::q4_k;
  else if (a.mix == iq3_m)
    d = DType::q4_k;
  else if (a.mix == q3_k_m)
    d = a.layer < 2 ? DType::q5_k : DType::q4_k;
  else if (a.mix == q3_k_l || (is_any(a.mix, {iq4_nl, iq4_xs}) && a.shares_heads()))
    d = DType::q5_k;
  else if (is_any(a.mix, {q4_k_m, q5_k_m}) && a.more_bits())
    d = DType::q6_k;
  else if (a.mix == q4_k_s && a.layer < 4)
    d = DType::q5_k;
  if (a.is_llama_70b() && (d == DType::q3_k || d == DType::q4_k)) d = DType::q5_k;
  return a.eight_experts() ? DType::q8_0 : d;
}

DType down_dtype(const Asked& a) {
  const bool falcon = a.is_falcon(), first_sixteenth = a.layer < a.net.n_layers / 16;
  switch (a.mix) {
    case q2_k:
      return DType::q3_k;
    case q2_k_s:
      return a.first_eighth() ? DType::q4_k : a.base;
    case q3_k_m:
      return first_sixteenth ? DType::q5_k : !falcon || a.more_bits() ? DType::q4_k : DType::q3_k;
    case q3_k_l:
      return falcon ? DType::q4_k : DType::q5_k;
    case iq3_m:
      return a.first_eighth() || (a.eight_experts() && a.more_bits()) ? DType::q4_k : a.base;
    case q4_k_m:
      if (falcon) return first_sixteenth ? DType::q6_k : a.more_bits() ? DType::q5_k : DType::q4_k;
      return a.more_bits() ? DType::q6_k : a.base;
    case q4_k_s:
      return !falcon && a.first_eighth() ? DType::q5_k : a.base;
    case q5_k_m:
      return a.more_bits() ? DType::q6_k : a.base;
    default:
      return a.base;
  }
}

DType attn_output_dtype(const Asked& a) {
  if (a.is_falcon()) return a.mix == q3_k_l ? DType::q4_k : a.base;
  if (a.eight_experts())
    return is_any(a.mix, {q2_k, iq3_xs, iq3_xxs, q3_k_s, q3_k_m, iq4_nl, q4_k_s, q4_k_m, iq3_s, iq3_m, iq4_xs})
               ? DType::q5_k
               : a.base;
  switch (a.mix) {
    case q2_k:
      return DType::q3_k;
    case iq3_xxs:
      return DType::iq3_s;
    case q3_k_m:
    case iq3_m:
      return DType::q4_k;
    case q3_k_l:
      return DType::q5_k;
    default:
      return a.base;
  }
}

DType wanted_dtype(const Asked& a, Kind kind, int64_t cols) {
  if (kind == Kind::output || (kind == Kind::token_embd && a.net.tied_embeddings)) return output_dtype(a, cols);
  if (kind == Kind::token_embd) return embedding_dtype(a);
  if (a.is_two_bit()) return two_bit_dtype(a, kind);
  switch (kind) {
    case Kind::v:
    case Kind::qkv:  // a fused matrix counts as values
      return value_dtype(a);
    case Kind::k:
      if (a.eight_experts()) return DType::q8_0;
      return a.mix == iq3_xs ? DType::iq3_xxs : a.mix == iq3_xxs ? DType::iq2_s : a.base;
    case Kind::q:
      return a.mix == iq3_xs ? DType::iq3_xxs : a.mix == iq3_xxs ? DType::iq2_s : a.base;
    case Kind::down:
      return down_dtype(a);
    case Kind::attn_output:
      return attn_output_dtype(a);
    case Kind::gate:
    case Kind::up:
      return a.mix == iq3_xs && !a.first_eighth() && a.layer < 7 * a.net.n_layers / 8 ? DType::iq3_xxs : a.base;
    default:
      return a.base;
  }
}

// Rows that are not whole super-blocks take a format of blocks of 32 with about as many bits.
DType that_fits(DType dtype, int64_t cols) {
  if (cols % tensor::traits(dtype).block_elements == 0) return dtype;
  DType smaller = DType::f16;
  switch (dtype) {
    case DType::q2_k:
    case DType::q3_k:
      smaller = DType::q4_0;
      break;
    case DType::q4_k:
      smaller = DType::q5_0;
      break;
    case DType::q5_k:
      smaller = DType::q5_1;
      break;
    case DType::q6_k:
      smaller = DType::q8_0;
      break;
    default:
      if (tensor::traits(dtype).block_elements > 32) smaller = DType::iq4_nl;
  }
  return cols % tensor::traits(smaller).block_elements == 0 ? smaller : DType::f16;
}

}  // namespace

std::span<const QuantMixInfo> quant_mixes() { return kMixes; }

const QuantMixInfo& quant_mix_info(QuantMix mix) {
  return *std::find_if(std::begin(kMixes), std::end(kMixes), [&](const QuantMixInfo& m) { return m.mix == mix; });
}

std::optional<QuantMix> quant_mix_from_name(std::string_view name) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
  for (const QuantMixInfo& m : kMixes)
    if (std::equal(name.begin(), name.end(), m.name.begin(), m.name.end(),
                   [&](char a, char b) { return upper(a) == b; }))
      return m.mix;
  return std::nullopt;
}

DType mixed_dtype(QuantMix mix, const MixNetwork& net, std::string_view name, int layer, int rank, int64_t cols) {
  const DType base = quant_mix_info(mix).base;
  if (rank < 2 || name.find("ffn_gate_inp") != std::string_view::npos) return DType::f32;
  if (!tensor::traits(base).is_quantized) return base;
  return that_fits(wanted_dtype({mix, net, layer, base}, kind_of(name), cols), cols);
}

DType low_bit_dtype(DType wanted, std::string_view name, DType source, int rank, int64_t cols) {
  const auto bits = [](DType type) {
    const auto& t = tensor::traits(type);
    return 8.0 * t.block_bytes / t.block_elements;
  };
  const auto divides = [cols](DType type) { return cols % tensor::traits(type).block_elements == 0; };
  // Vectors, and the small tables that are not products of the network (routers, rotary factors).
  if (rank < 2 || !name.ends_with(".weight") || name.find("norm") != std::string_view::npos ||
      name.find("ffn_gate_inp") != std::string_view::npos)
    return source;
  DType type = wanted;
  const bool is_vocabulary = name == "token_embd.weight" || name == "output.weight";
  if (is_vocabulary && bits(type) < bits(DType::q4_k)) type = DType::q4_k;
  if (!divides(type)) type = bits(type) > 5 ? DType::q8_0 : DType::q4_0;  // blocks of 32
  if (!divides(type)) return source;
  return bits(type) < bits(source) ? type : source;
}

}  // namespace watra::model
