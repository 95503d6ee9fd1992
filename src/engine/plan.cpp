#include "engine/plan.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "base/memory.h"
#include "engine/internal/plan_once.h"
#include "engine/memory_needs.h"

namespace watra::engine {
namespace {

using model::ModelOutline;
using model::OutlineTensor;

// Rows of a micro-batch: what fills the processor; where weights come over a slow road, more share each trip.
constexpr int64_t kMicroBatch = 512, kLongMicroBatch = 2048;
// An answer of usual length, in tokens.
constexpr double kUsualAnswer = 256;
constexpr int64_t kLogitRows = 16;
// How much faster than n-grams a draft model must promise to be before `auto` loads one: 42 answers of free chat gained
// less than this with any (docs/measurements.md), and it takes memory and time to load. Where answers here have shown
// its worth, what they showed counts. And what is there is taken for what had to be made or fetched first, if it is
// near.
constexpr double kWorthLoading = 1.1, kShownWorth = 1.03, kNear = 0.9;
constexpr int64_t kMeanRows = 16;
// Interleaving while loading (docs/measurements.md: 8 to 12 GB/s a core).
constexpr double kRepackGbPerCore = 8;

uint64_t kv_read_bytes(const ModelOutline& o, int layer, int64_t depth, const KvTypes& types) {
  const KvPair t = types.of(layer);
  return o.kv_read_bytes(layer, depth, t.k, t.v);
}

uint64_t largest_kv_layer(const ModelOutline& o, const KvTypes& types) {
  uint64_t most = 0;
  for (int i = 0; i < o.n_layers; ++i) {
    const KvPair t = types.of(i);
    most = std::max(most, o.kv_bytes_per_position(i, t.k, t.v));
  }
  return most;
}

ModelOutline without_gathered(ModelOutline o) {
  std::erase_if(o.tensors, [](const OutlineTensor& t) { return t.read == OutlineTensor::Read::gathered; });
  return o;
}

struct Disks {
  std::vector<std::string> paths;
  std::vector<double> rates;
};

Result<Disks> chosen_disks(const Hardware& hw, const PlanOptions& options) {
  Disks out;
  for (const std::string& path : options.disks) {
    const auto at = std::find_if(hw.disks.begin(), hw.disks.end(), [&](const auto& d) { return d.path == path; });
    if (at == hw.disks.end()) {
      std::string known;
      for (const auto& d : hw.disks) known += (known.empty() ? "--disk '" : ", --disk '") + d.path + "'";
      return fail("plan.unknown_disk",
                  fmt::format("{} has no disk '{}'", hw.name.empty() ? "the machine" : hw.name, path),
                  known.empty() ? "this hardware has no disks" : known);
    }
    out.paths.push_back(at->path);
    out.rates.push_back(at->gb_s);
  }
  if (out.paths.empty() && !hw.disks.empty()) {
    const auto& fastest = *std::max_element(hw.disks.begin(), hw.disks.end(),
                                            [](const auto& a, const auto& b) { return a.gb_s < b.gb_s; });
    out.paths.push_back(fastest.path);
    out.rates.push_back(fastest.gb_s);
  }
  return out;
}

// What a draft takes and gives, apart from the target.
struct Candidate {
  std::string method, name, word, first;
  Acceptance acceptance;
  std::optional<ModelOutline> outline;
  bool is_ready = false;
};

// Places, sizes and loads of a target beside one draft.
class Attempt {
 public:
  Attempt(const ModelOutline& o, const Hardware& hw, const PlanOptions& options, const Disks& disks,
          int64_t micro_batch)
      : o_(o), hw_(hw), options_(options), disks_(disks) {
    plan_.kv_types = options.kv_types;
    plan_.n_ctx = options.n_ctx > 0 ? options.n_ctx : std::min<int64_t>(o.n_ctx_train > 0 ? o.n_ctx_train : 4096, 4096);
    plan_.depth = options.depth >= 0 ? std::min(options.depth, plan_.n_ctx) : plan_.n_ctx / 4;
    plan_.n_prompt = std::min(options.n_prompt, plan_.n_ctx);
    plan_.threads = options.threads > 0 ? options.threads : hw.compute_threads();
    plan_.disks = disks.paths;
    plan_.micro_batch = std::min(micro_batch, plan_.n_ctx);
    kv_positions_ = std::max(plan_.n_ctx, options.kv_positions);
    if (o.is_encoder) suit_encoder();
    plan_.ram_limit_bytes = options.ram_bytes > 0 ? options.ram_bytes : hw.ram.bytes;
    const uint64_t vram = options.use_gpu ? hw.vram.bytes : 0;
    plan_.vram_limit_bytes = options.vram_bytes > 0 ? std::min(options.vram_bytes, vram) : vram;
  }

  Result<Plan> run(const Candidate& candidate) {
    DraftPlan& draft = plan_.draft;
    draft.method = candidate.method;
    draft.model = candidate.name;
    draft.word = candidate.word;
    draft.first = candidate.first;
    draft.acceptance = candidate.acceptance;
    place(candidate);
    if (!plan_.placed.fits || ram_used() > plan_.ram_limit_bytes) return fail(no_fit());
    if (hw_.ram.gb_s <= 0) return plan_;
    build_load();
    predict(candidate);
    return plan_;
  }

 private:
  // What load_model() does with it (loaded_model.h).
  void suit_encoder() {
    if (o_.n_ctx_train > 0) plan_.n_ctx = std::min(plan_.n_ctx, o_.n_ctx_train);
    plan_.n_prompt = std::min(plan_.n_prompt, plan_.n_ctx);
    plan_.depth = 0;
    plan_.micro_batch = encoder_rows(plan_.n_ctx);
    plan_.kv_types = encoder_kv_types();
    plan_.shares_prefixes = false;
    kv_positions_ = encoder_kv_positions(plan_.micro_batch);
  }

  void add(std::string tag, Tier tier, uint64_t bytes) {
    if (bytes > 0) plan_.memory.push_back({std::move(tag), tier, bytes});
  }
  uint64_t ram_used() const {
    uint64_t n = 0;
    for (const auto& m : plan_.memory)
      if (m.tier == Tier::ram) n += m.bytes;
    return n;
  }

  void place(const Candidate& candidate) {
    const uint64_t kv_bytes = kv_cache_bytes(o_, plan_.kv_types, kv_positions_);
    const bool card = plan_.vram_limit_bytes > 0;
    // Keys, values and buffers on the card lie in its work space as far as that goes.
    uint64_t work_left = card && options_.vram_bytes == 0 ? std::min(hw_.vram.work_bytes, plan_.vram_limit_bytes) : 0;
    uint64_t vram_left = plan_.vram_limit_bytes - work_left;
    const auto on_card = [&](uint64_t bytes) {
      const uint64_t at_work = std::min(bytes, work_left);
      work_left -= at_work;
      vram_left -= std::min(vram_left, bytes - at_work);
    };
    uint64_t ram_fixed = 0;
    const auto in_ram = [&](const std::string& tag, uint64_t bytes) {
      add(tag, Tier::ram, bytes);
      ram_fixed += bytes;
    };
    const bool known = !options_.known_uses.empty();
    for (const MemoryUse& use : options_.known_uses) in_ram(use.tag, use.bytes);
    const uint64_t activations = activation_bytes(o_, plan_.micro_batch, kLogitRows, plan_.n_ctx);
    if (!known) {
      in_ram("program and vocabulary", program_bytes(o_.n_vocab, plan_.threads));
      if (options_.keeps_conversations) in_ram("kv store", kv_store_room_bytes(plan_.ram_limit_bytes));
      in_ram("activations", activations);
      in_ram("exact keys and values",
             exact_kv_bytes(o_, plan_.kv_types, kv_positions_, 1, std::min(plan_.micro_batch, plan_.n_ctx)));
    }
    if (candidate.outline) {
      const ModelOutline& d = *candidate.outline;
      // A copy reads the target's keys and values where they lie as they were computed (draft_model.h).
      const bool shares_cache = candidate.method == "self" && plan_.kv_types.text().find('q') == std::string::npos;
      DraftPlan& draft = plan_.draft;
      draft.bytes = draft_model_bytes(d, kv_positions_, shares_cache);
      draft.tier = card && draft.bytes <= vram_left + work_left ? Tier::vram : Tier::ram;
      add("draft", draft.tier, draft.bytes);
      draft.tier == Tier::vram ? on_card(draft.bytes) : static_cast<void>(ram_fixed += draft.bytes);
    }
    if (card) on_card(activations);
    const uint64_t kv_layer = kv_cache_bytes_of(largest_kv_layer(o_, plan_.kv_types));
    const auto attempt = [&](uint64_t ring) {
      // Keys and values of layers on the card lie there, too.
      PlaceLimits limits{.vram_bytes = vram_left, .vram_kv_bytes = work_left, .kv_bytes_per_layer = kv_layer};
      // First assume that all keys and values lie in RAM, then take back.
      uint64_t kv_ram = known ? 0 : kv_bytes;
      PlacedOutline placed;
      for (int round = 0; round < 2; ++round) {
        const uint64_t fixed = ram_fixed + kv_ram + ring;
        limits.ram_bytes = plan_.ram_limit_bytes > fixed ? plan_.ram_limit_bytes - fixed : 0;
        limits.disk_rates = disks_.rates;
        placed = place_outline(o_, limits);
        const uint64_t on = known ? 0 : kv_cache_bytes(o_, plan_.kv_types, kv_positions_, placed.n_gpu_layers);
        if (on == kv_ram) break;
        kv_ram = on;
      }
      return std::pair(placed, kv_ram);
    };
    auto [placed, kv_ram] = attempt(0);
    if (placed.disk_bytes > 0 && !disks_.rates.empty()) {
      plan_.ring_bytes = stream_needs(o_, plan_.ram_limit_bytes, options_.ring_bytes).ring_bytes;
      std::tie(placed, kv_ram) = attempt(plan_.ring_bytes);
    }
    plan_.placed = std::move(placed);
    add("weights", Tier::ram, plan_.placed.ram_bytes);
    add("weights", Tier::vram, plan_.placed.vram_bytes);
    add("weights", Tier::disk, plan_.placed.disk_bytes);
    if (!known) add("kv cache", Tier::ram, kv_ram);
    if (card) add("kv cache", Tier::vram, kv_bytes - kv_ram);
    if (plan_.placed.vram_bytes > 0) add("activations", Tier::vram, activations);
    add("disk ring", Tier::ram, plan_.ring_bytes);
    const uint64_t used = ram_used();
    if (used < plan_.ram_limit_bytes && plan_.shares_prefixes)  // as much again as one conversation, from what is left
      plan_.prefix_cache_bytes = std::min(plan_.ram_limit_bytes - used, kv_bytes);
    std::stable_sort(plan_.memory.begin(), plan_.memory.end(),
                     [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  }
  uint64_t kv_cache_bytes_of(uint64_t bytes_per_position) const {
    constexpr int64_t kPage = kernels::kKvPage;
    return bytes_per_position * static_cast<uint64_t>((kv_positions_ + kPage - 1) / kPage * kPage);
  }

  void build_load() {
    PassLoad& l = load_;
    l.d_model = o_.d_model;
    l.n_experts = o_.n_experts;
    l.n_experts_used = o_.n_experts_used;
    l.disk_rates = disks_.rates;
    l.disk_bytes.assign(disks_.rates.size(), 0);
    for (const OutlineTensor& t : o_.tensors) {
      const auto at = plan_.placed.placement.tensors.find(t.name);
      if (at == plan_.placed.placement.tensors.end()) {
        l.ram.add(t, t.rows);
        continue;
      }
      for (const RowRange& r : at->second) {
        const int64_t rows = r.end - r.begin;
        (r.tier == Tier::vram ? l.vram : r.tier == Tier::ram ? l.ram : l.disk).add(t, rows);
        if (r.tier == Tier::disk && t.read != OutlineTensor::Read::gathered)
          l.disk_bytes[r.disk] += static_cast<double>(t.row_bytes()) * static_cast<double>(rows);
      }
    }
    // A gathered table costs no time wherever it lies.
    std::erase_if(l.disk.entries, [](const auto& e) { return e.read == OutlineTensor::Read::gathered; });
    l.n_gpu_layers = plan_.placed.n_gpu_layers;
    l.n_cpu_layers = o_.n_layers - plan_.placed.n_gpu_layers;
    for (int i = plan_.placed.n_gpu_layers; i < o_.n_layers; ++i)
      l.cpu_row_elements += row_elements(o_.d_model, o_.layers[static_cast<size_t>(i)]);
    for (int i = 0; i < o_.n_layers; ++i)
      (i < plan_.placed.n_gpu_layers ? l.kv_vram_bytes : l.kv_ram_bytes) +=
          static_cast<double>(kv_read_bytes(o_, i, plan_.depth, plan_.kv_types));
  }

  // Seconds of one pass of the draft model over one token.
  double draft_token_seconds(const ModelOutline& d) const {
    PassLoad l;
    l.d_model = d.d_model;
    const bool card = plan_.draft.tier == Tier::vram;
    for (const OutlineTensor& t : d.tensors) (card ? l.vram : l.ram).add(t, t.rows);
    (card ? l.n_gpu_layers : l.n_cpu_layers) = d.n_layers;
    if (!card)
      for (const auto& layer : d.layers) l.cpu_row_elements += row_elements(d.d_model, layer);
    for (int i = 0; i < d.n_layers; ++i)
      (card ? l.kv_vram_bytes : l.kv_ram_bytes) +=
          static_cast<double>(kv_read_bytes(d, i, plan_.depth, plan_.kv_types));
    return pass_time(l, hw_, 1, plan_.threads, Efficiency::expected()).seconds;
  }

  void predict(const Candidate& candidate) {
    const Efficiency expected = Efficiency::expected();
    const auto time = [&](int64_t m) { return pass_time(load_, hw_, m, plan_.threads, expected); };
    const PassTime one = time(1);
    plan_.plain_seconds = one.seconds;
    plan_.no_speculation_tps = plan_.undrafted_tps = 1 / one.seconds;
    plan_.row_seconds = (time(1 + kMeanRows).seconds - one.seconds) / kMeanRows;
    plan_.pass = one;
    plan_.seconds = one.seconds;
    plan_.decode_tokens_per_s = plan_.no_speculation_tps;
    DraftPlan& draft = plan_.draft;
    const double each = draft.token_seconds = candidate.outline ? draft_token_seconds(*candidate.outline) : 0;
    auto& measured = draft.acceptance.measured;
    if (!measured && draft.acceptance.where_dear && each > kDearShare * one.seconds) {
      measured = draft.acceptance.where_dear;
      draft.acceptance.p = measured->accept_rate;
      draft.acceptance.basis = Basis::benches;
      draft.acceptance.source = fmt::format("a token of it costs {:.2f} of a pass: measured in {} answers of free chat",
                                            each / one.seconds, measured->n_answers);
    }
    if (measured && measured->speed_up > 1) {
      draft.n = std::max(1, static_cast<int>(std::lround(measured->nodes_per_pass)));
      draft.tau = measured->tau;
      plan_.pass = time(draft.n + 1);
      plan_.decode_tokens_per_s = measured->speed_up / one.seconds;
      plan_.seconds = draft.tau / plan_.decode_tokens_per_s;
      draft.seconds = std::max(0.0, plan_.seconds - plan_.pass.seconds);
    }
    const bool is_open = candidate.method != "none" && !measured;
    for (int n = 1; n <= options_.draft_max && is_open; ++n) {
      const PassTime pass = time(n + 1);
      const double tau = expected_tau(candidate.acceptance.p, n), seconds = pass.seconds + n * each;
      if (tau / seconds <= plan_.decode_tokens_per_s) continue;
      plan_.decode_tokens_per_s = tau / seconds;
      plan_.pass = pass;
      plan_.seconds = seconds;
      draft.n = n;
      draft.tau = tau;
      draft.seconds = n * each;
    }
    plan_.bound_seconds = bound_seconds(o_, hw_, options_);
    // It counts a table of which one row is read whole, as the tables that people compare with. Where that shows, not.
    if (plan_.plain_seconds < plan_.bound_seconds)
      plan_.bound_seconds = bound_seconds(without_gathered(o_), hw_, options_);
    plan_.bound_tps = 1 / plan_.bound_seconds;
    explain();
    plan_.ttft_s = prefill_seconds(load_, o_, hw_, plan_.n_prompt, plan_.micro_batch, plan_.threads, expected);
    if (!disks_.rates.empty()) {
      double disk = 0;
      for (double r : disks_.rates) disk += r * expected.disk_read;
      const double loaded = static_cast<double>(plan_.placed.ram_bytes + plan_.placed.vram_bytes + draft.bytes) / 1e9;
      plan_.load_s = loaded / std::min(disk, kRepackGbPerCore * plan_.threads);
    }
  }

  // From the bound to the prediction, one loss at a time.
  void explain() {
    Efficiency e = Efficiency::ideal();
    PassLoad l = load_;
    l.kv_ram_bytes = l.kv_vram_bytes = 0;
    double before = plan_.bound_seconds;
    const auto step = [&](std::string reason) {
      const double now = pass_time(l, hw_, 1, plan_.threads, e).seconds;
      if (std::abs(now - before) > 1e-3 * plan_.plain_seconds)
        plan_.losses.push_back({std::move(reason), now - before});
      else if (!plan_.losses.empty())
        plan_.losses.back().seconds += now - before;
      else
        plan_.losses.push_back({std::move(reason), now - before});
      before = now;
    };
    const Efficiency real = Efficiency::expected();
    step(plan_.draft.bytes > 0 ? "one row of the embedding table is read; keys, values, buffers and the draft need room"
                               : "one row of the embedding table is read; keys, values and buffers need room");
    e.gpu_read = real.gpu_read;
    step(fmt::format("products on the card reach {:.0f} % of its rate", 100 * real.gpu_read));
    e.cpu_read = real.cpu_read;
    step("products on the processor against a plain read of memory");
    e.codebooks = true;
    step("weights in IQ1 to IQ3 are looked up, which takes the processor longer than reading them");
    e.disk_read = real.disk_read;
    step(fmt::format("the disk reaches {:.0f} % of its rate during decode", 100 * real.disk_read));
    l.kv_ram_bytes = load_.kv_ram_bytes;
    l.kv_vram_bytes = load_.kv_vram_bytes;
    e.kv_read = real.kv_read;
    step(fmt::format("keys and values of {} tokens", plan_.depth));
    e = real;
    step(hw_.kernels.empty() ? "between products: barriers, norms, hand-overs"
                             : "as measured here: products, and what lies between them");
  }

  Error no_fit() const {
    uint64_t needed = 0;
    std::string parts;
    for (const auto& m : plan_.memory)
      if (m.tier == Tier::ram) {
        needed += m.bytes;
        parts += fmt::format("{}{} {}", parts.empty() ? "" : " + ", m.tag, format_bytes(m.bytes));
      }
    return {"plan.no_fit",
            fmt::format("{}{}{} does not fit: it needs {} of memory = {} (n_ctx {}, {}), {} {}", o_.name,
                        o_.quant.empty() ? "" : " ", o_.quant, format_bytes(needed), parts, plan_.n_ctx,
                        plan_.kv_types.text(), format_bytes(plan_.ram_limit_bytes),
                        options_.ram_bytes > 0 ? "are allowed by --ram" : "may be used"),
            ""};
  }

  const ModelOutline& o_;
  const Hardware& hw_;
  const PlanOptions& options_;
  const Disks& disks_;
  Plan plan_;
  int64_t kv_positions_ = 0;
  PassLoad load_;
};

Candidate no_draft() { return {.method = "none", .word = "none"}; }

bool is_copy(const DraftOffer& d) { return d.method == "self"; }

Candidate candidate_of(const DraftOffer& d, double params, const PlanOptions& options) {
  const std::string type = is_copy(d) ? d.word.substr(d.word.find(':') + 1) : "";
  return {.method = d.method,
          .name = is_copy(d) ? type : d.outline.name + (d.outline.quant.empty() ? "" : " " + d.outline.quant),
          .word = d.word,
          .first = d.first,
          .acceptance = expected_acceptance(d.method, static_cast<double>(d.outline.n_params()), params,
                                            is_copy(d) ? type : d.outline.name, options.measured_drafts),
          .outline = d.outline,
          .is_ready = d.is_ready};
}

// Without a draft first, where that is allowed; then n-grams; then models.
Result<std::vector<Candidate>> candidates(const ModelOutline& o, const PlanOptions& options) {
  std::vector<Candidate> out;
  const std::string& wanted = options.draft;
  if (o.is_encoder || wanted == "none") return out.emplace_back(no_draft()), out;  // an encoder writes nothing
  const auto params = static_cast<double>(o.n_params());
  const bool is_auto = wanted == "auto", is_best = wanted == "best", is_self = wanted == "self";
  if (is_best) out.push_back(no_draft());  // n-grams that do not pay are as good as nothing, and as cheap
  if (is_auto || is_best || wanted == "ngram")
    out.push_back({.method = "ngram",
                   .word = "ngram",
                   .acceptance = expected_acceptance("ngram", 0, params, "", options.measured_drafts)});
  std::vector<DraftOffer> offers = options.drafts;
  if (std::none_of(offers.begin(), offers.end(), is_copy))
    for (DraftOffer& d : self_drafts(o)) offers.push_back(std::move(d));
  for (const DraftOffer& d : offers)
    if (is_best || (is_auto && d.is_ready) || (is_self && is_copy(d)) || wanted == d.word ||
        (wanted == "model" && d.method == "model"))
      out.push_back(candidate_of(d, params, options));
  if (out.empty())
    return fail("plan.unknown_draft",
                is_self ? fmt::format("{} is so small that no copy of it is smaller", o.name)
                        : fmt::format("no draft model is known for {}", o.name),
                is_self ? "--draft ngram, or --draft MODEL with a small model of the same vocabulary"
                        : "--draft ngram, --draft self, or --draft MODEL with a small model of the same vocabulary");
  return out;
}

bool is_shared_with_a_card(const Plan& plan) { return plan.placed.vram_bytes > 0 && plan.placed.ram_bytes > 0; }

double turn_seconds(const Plan& plan) { return plan.ttft_s + kUsualAnswer / plan.decode_tokens_per_s; }

}  // namespace

namespace {

// The plan beside one draft.
Result<Plan> plan_beside(const Candidate& c, const ModelOutline& o, const Hardware& hw, const PlanOptions& options,
                         const Disks& disks) {
  const auto attempt = [&](int64_t micro_batch) { return Attempt(o, hw, options, disks, micro_batch).run(c); };
  auto plan = attempt(options.micro_batch > 0 ? options.micro_batch : kMicroBatch);
  if (options.micro_batch == 0 && (plan ? plan->placed.disk_bytes > 0 : !disks.rates.empty())) {
    // Weights that are streamed want as many rows to each trip as the limit has room for, and fewer when it has none.
    const uint64_t limit = options.ram_bytes > 0 ? options.ram_bytes : hw.ram.bytes;
    const StreamNeeds needs = stream_needs(o, limit, options.ring_bytes);
    plan = attempt(needs.max_rows);
    if (!plan) {
      const StreamNeeds least = least_stream_needs(needs);
      PlanOptions tight = options;
      tight.ring_bytes = least.ring_bytes;
      plan = Attempt(o, hw, tight, disks, least.max_rows).run(c);
    }
  } else if (plan && options.micro_batch == 0 && plan->n_ctx > kMicroBatch && is_shared_with_a_card(*plan)) {
    // Longer micro-batches read a prompt sooner; their buffers take room from weights. A turn as a whole decides.
    if (auto longer = attempt(std::min(kLongMicroBatch, plan->n_ctx));
        longer && turn_seconds(*longer) < turn_seconds(*plan))
      plan = std::move(longer);
  }
  return plan;
}

// What a plan beside `c` must reach to take the place of one beside `than`.
double threshold(const Candidate& c, const Candidate& than, const PlanOptions& options) {
  if (options.draft == "auto" && c.outline && !than.outline)
    return c.acceptance.basis == Basis::answers_here ? kShownWorth : kWorthLoading;
  if (c.outline && than.outline && c.is_ready != than.is_ready) return c.is_ready ? kNear : 1 / kNear;
  return 1;
}

}  // namespace

Result<Plan> internal::plan_once(const ModelOutline& o, const Hardware& hw, const PlanOptions& options) {
  WATRA_ASSIGN(const Disks disks, chosen_disks(hw, options));
  WATRA_ASSIGN(const auto all, candidates(o, options));
  Result<Plan> best = fail("plan.no_fit", "nothing was tried");
  const Candidate* of_best = nullptr;
  std::optional<double> undrafted;
  for (const Candidate& c : all) {
    auto plan = plan_beside(c, o, hw, options, disks);
    if (plan && c.method == "none") undrafted = plan->decode_tokens_per_s;
    const bool is_better =
        plan && (!of_best || plan->decode_tokens_per_s > threshold(c, *of_best, options) * best->decode_tokens_per_s);
    if (plan ? !is_better : of_best != nullptr) continue;
    best = std::move(plan);
    if (best) of_best = &c;
  }
  if (!best || best->draft.bytes == 0) return best;
  if (!undrafted) {
    const auto plain = plan_beside(no_draft(), o, hw, options, disks);
    undrafted = plain ? plain->decode_tokens_per_s : 0;
  }
  best->undrafted_tps = *undrafted;
  return best;
}

Result<Plan> make_plan(const ModelOutline& outline, const Hardware& hardware, const PlanOptions& options) {
  if (!outline.is_encoder) WATRA_TRY(options.kv_types.check(static_cast<int>(outline.n_layers)));
  auto plan = internal::plan_once(outline, hardware, options);
  if (!plan && plan.error().code == "plan.no_fit") {
    Error e = plan.error();
    e.hint = internal::plan_offers(outline, hardware, options);
    return fail(std::move(e));
  }
  return plan;
}

}  // namespace watra::engine
