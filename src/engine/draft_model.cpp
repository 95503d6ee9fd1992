#include "engine/draft_model.h"

#include <algorithm>
#include <chrono>

#include "model/synthetic.h"
#include "model/vocab.h"

namespace watra::engine {
namespace {

// Of a proposer's lists, per piece of the vocabulary.
constexpr uint64_t kProposerBytes = 64;
// A token of a prompt in passes over one row (0.5B, 850 tokens, two cores: 0.11).
constexpr double kReadingShare = 0.125;
constexpr const char* kDirectoryTag = "draft's vocabulary and lists";

std::string file_name(const model::Model& m) {
  return m.file().has_files() ? m.file().paths()[0].filename().string() : m.hparams().name;
}

// A token that no text contains: it may differ without the two being strangers.
bool is_special(const text::VocabSpec& v, size_t id) {
  if (v.types.empty()) return false;
  using text::TokenType;
  const TokenType t = v.types[id];
  return t == TokenType::control || t == TokenType::unused || t == TokenType::user_defined;
}

// A few passes over one row: the first touches every page, the fastest of the rest counts.
Result<double> time_pass(Forward& forward) {
  KvCache& kv = forward.kv();
  const SequenceId s = kv.add();
  Batch batch;
  Status ran;
  double fastest = 0;
  for (int i = 0; i < 4 && ran; ++i) {
    batch.clear();
    batch.rows.push_back({.token = 0, .sequence = s, .wants_logits = true});
    const auto begin = std::chrono::steady_clock::now();
    ran = forward.run(batch);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (i > 0) fastest = fastest > 0 ? std::min(fastest, seconds) : seconds;
  }
  kv.remove(s);
  if (!ran) return fail(std::move(ran).error());
  return fastest;
}

}  // namespace

DraftModel::~DraftModel() {
  if (directory_bytes_ > 0) budget->give(kDirectoryTag, directory_bytes_);
}

Status DraftModel::count_directory(uint64_t bytes) {
  WATRA_TRY(budget->take(kDirectoryTag, bytes));
  directory_bytes_ = bytes;
  return {};
}

bool SharedVocabulary::is_foreign(TokenId token) const {
  return std::binary_search(foreign_.begin(), foreign_.end(), token);
}

SharedVocabulary SharedVocabulary::of_ids(int64_t n_target, int64_t n_draft) {
  SharedVocabulary v;
  v.n_common_ = std::min(n_target, n_draft);
  return v;
}

Result<SharedVocabulary> SharedVocabulary::create(const text::VocabSpec& target, const text::VocabSpec& draft) {
  const char* hint = "a smaller model of the same family, or --draft self, or --draft ngram";
  if (target.kind != draft.kind)
    return fail("draft.other_vocabulary", "target and draft cut text into tokens in different ways", hint);
  SharedVocabulary v = of_ids(static_cast<int64_t>(target.pieces.size()), static_cast<int64_t>(draft.pieces.size()));
  if (draft.eos != text::kNoToken) v.stand_in_ = draft.eos;
  for (size_t id = 0; id < static_cast<size_t>(v.n_common_); ++id) {
    if (target.pieces[id] == draft.pieces[id]) continue;
    if (is_special(target, id) && is_special(draft, id) && v.foreign_.size() < kMostForeign) {
      v.foreign_.push_back(static_cast<TokenId>(id));
      continue;
    }
    return fail("draft.other_vocabulary",
                fmt::format("target and draft have different vocabularies: token {} is \"{}\" to one and \"{}\" to the "
                            "other",
                            id, target.pieces[id], draft.pieces[id]),
                hint);
  }
  // More words on one side alone: real ones mean that the two were not trained on the same text.
  const text::VocabSpec& longer = target.pieces.size() > draft.pieces.size() ? target : draft;
  for (size_t id = static_cast<size_t>(v.n_common_), words = 0; id < longer.pieces.size(); ++id)
    if (!is_special(longer, id) && ++words > kMostForeign)
      return fail("draft.other_vocabulary",
                  fmt::format("target and draft have vocabularies of different sizes: {} and {} tokens",
                              target.pieces.size(), draft.pieces.size()),
                  hint);
  return v;
}

Result<std::shared_ptr<DraftModel>> load_draft(const LoadedModel& target, const fs::path& path,
                                               const DraftModelOptions& options) {
  auto d = std::make_shared<DraftModel>();
  d->budget = target.budget;
  const uint64_t resident_before = resident_bytes();
  std::shared_ptr<const model::Model> m;
  constexpr std::string_view kSynthetic = "synthetic:";
  if (const std::string name = path.string(); name.starts_with(kSynthetic)) {
    WATRA_ASSIGN(auto made, model::synthetic_checkpoint(std::string_view(name).substr(kSynthetic.size())));
    WATRA_ASSIGN(m, model::Model::from(std::move(made)));
  } else {
    WATRA_ASSIGN(m, model::Model::open(path));
  }
  WATRA_ASSIGN(const text::VocabSpec vocab, model::load_vocab(m->file()));
  const int64_t n_target = target.model->hparams().n_vocab;
  if (target.tokenizer && vocab.kind != text::VocabKind::none) {
    WATRA_ASSIGN(d->vocabulary, SharedVocabulary::create(target.tokenizer->spec(), vocab));
  } else if (!target.tokenizer && vocab.kind == text::VocabKind::none) {
    d->vocabulary = SharedVocabulary::of_ids(n_target, m->hparams().n_vocab);
  } else {
    return fail("draft.other_vocabulary",
                fmt::format("{} has {} vocabulary, the target has {}", file_name(*m),
                            vocab.kind == text::VocabKind::none ? "no" : "a", target.tokenizer ? "one" : "none"),
                "complete model files of one family");
  }

  Forward& of_target = *target.forward;
  const kernels::Kernels& kernels = of_target.kernels();
  // The open page of a quantized cache is the target's alone (recent_rows.h): the draft then keeps its own.
  d->shares_cache = options.share_cache && !of_target.kv().recent().needed();
  if (d->shares_cache) d->cache_owner = target.forward;
  const uint64_t used_before = d->budget->used_bytes();
  const uint64_t resident = resident_bytes();
  WATRA_TRY(d->count_directory((resident > resident_before ? resident - resident_before : 0) +
                               static_cast<uint64_t>(m->hparams().n_vocab) * kProposerBytes));
  const bool interleave = kernels.layout(tensor::DType::q8_0) != tensor::Layout::rows;
  WATRA_ASSIGN(std::shared_ptr<Residency> weights, Residency::reserve(m, d->budget.get(), {.interleave = interleave}));
  const ForwardOptions& t = of_target.options();
  const int64_t n_ctx = d->shares_cache ? t.n_ctx : std::min(t.n_ctx, m->hparams().n_ctx_train);
  ForwardOptions forward{
      .n_ctx = n_ctx,
      .kv_positions = options.kv_positions ? options.kv_positions : std::max(t.n_ctx, t.kv_positions),
      .max_rows = std::max(options.max_rows, options.max_beam),
      .max_logit_rows = options.max_beam,
      .n_sequences = 1,
      .kv_types = d->shares_cache ? t.kv_types : KvTypes{},
      .budget = d->budget.get(),
      .shared_kv = d->shares_cache ? &of_target.kv() : nullptr};
  WATRA_ASSIGN(d->forward, Forward::create(m, weights, target.team, kernels, forward));
  const uint64_t needed = d->budget->used_bytes() - used_before, available = available_memory_bytes();
  if (available > 0 && needed > available)
    return fail("draft.no_room",
                fmt::format("the draft {} needs {} beside the target, {} are free", file_name(*m), format_bytes(needed),
                            format_bytes(available)),
                "--draft ngram needs no memory; a smaller draft, or a smaller --ctx");
  uint64_t staging = options.staging_bytes;
  if (const uint64_t limit = d->budget->limit_bytes(), used = d->budget->used_bytes(); limit > 0 && staging == 0)
    staging = std::max<uint64_t>(limit > used ? limit - used : 0, 1 << 20);
  WATRA_TRY(weights->read(*target.team, options.progress, staging, options.cancelled));
  d->forward->warm();
  WATRA_ASSIGN(d->pass_seconds, time_pass(*d->forward));
  d->read_token_seconds = d->pass_seconds * kReadingShare;
  if (!d->shares_cache) d->prefixes.emplace(d->forward->kv(), PageKey{});
  d->method = "model";
  d->name = "model:" + m->hparams().name;
  d->pass_bytes = m->pass_bytes();
  return d;
}

}  // namespace watra::engine
