#include "workshop/needle.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/rng.h"

namespace watra::workshop {
namespace {

using engine::Batch;
using engine::Forward;
using engine::LoadedModel;
using engine::TokenId;

constexpr int64_t kQuestionTokens = 64;  // room for the longest question and its answer

struct Language {
  std::string_view before, between;  // "The secret number of ", " is"
  std::string_view cities[kMostNeedles];
};
constexpr Language kEnglish{
    "The secret number of ", " is", {"Lisbon", "Oslo",  "Cairo",  "Lima",   "Quito",  "Seoul",  "Delhi",
                                     "Accra",  "Bern",  "Riga",   "Tunis",  "Havana", "Dublin", "Hanoi",
                                     "Sydney", "Milan", "Boston", "Prague", "Vienna", "Athens"}};
constexpr Language kPolish{
    "Tajny numer miasta ", " to", {"Lizbona", "Oslo",  "Kair",   "Lima",  "Kraków", "Seul",   "Delhi",
                                   "Gdynia",  "Berno", "Ryga",   "Tunis", "Hawana", "Dublin", "Hanoi",
                                   "Sydney",  "Łódź",  "Poznań", "Praga", "Wiedeń", "Ateny"}};

struct Fact {
  std::string question, answer;  // "\n\nThe secret number of Oslo is", " 48213"
};
std::vector<Fact> make_facts(const NeedleOptions& o) {
  const Language& language = o.is_polish ? kPolish : kEnglish;
  std::vector<Fact> facts;
  for (int i = 0; i < o.n_needles; ++i) {
    const auto number =
        10000 + static_cast<int>(engine::uniform(o.seed, static_cast<uint64_t>(i), engine::RngStream::draw) * 90000);
    facts.push_back(
        {fmt::format("\n\n{}{}{}", language.before, language.cities[i], language.between), fmt::format(" {}", number)});
  }
  return facts;
}

// The filler's first n_bytes with the facts between its sentences.
std::string hide(std::string_view filler, size_t n_bytes, const std::vector<Fact>& facts) {
  std::string text;
  size_t at = 0;
  for (size_t i = 0; i < facts.size(); ++i) {
    size_t until = n_bytes * (2 * i + 1) / (2 * facts.size());
    const size_t sentence = filler.rfind(". ", until);
    if (sentence != std::string_view::npos && sentence + 1 > at) until = sentence + 1;
    text += filler.substr(at, until - at);
    text += facts[i].question + facts[i].answer + ".\n\n";
    at = until;
  }
  return text += filler.substr(at, n_bytes - at);
}

// The longest text of at most n tokens.
Result<std::vector<TokenId>> haystack(const text::Tokenizer& tokenizer, std::string_view filler, int64_t n,
                                      const std::vector<Fact>& facts) {
  const auto tokens_of = [&](size_t n_bytes) {
    return tokenizer.encode(hide(filler, n_bytes, facts), {.add_special = true, .parse_special = false});
  };
  std::vector<TokenId> ids = tokens_of(filler.size());
  if (static_cast<int64_t>(ids.size()) < n)
    return fail("eval.text_too_short", fmt::format("the text has {} tokens, {} are wanted", ids.size(), n),
                "a longer text, or a smaller --ctx");
  size_t n_bytes = filler.size();
  while (static_cast<int64_t>(ids.size()) > n) {
    const auto over = static_cast<double>(ids.size()) / static_cast<double>(n);
    n_bytes = static_cast<size_t>(static_cast<double>(n_bytes) / over * 0.999);
    while (n_bytes > 0 && (static_cast<uint8_t>(filler[n_bytes]) & 0xc0) == 0x80) --n_bytes;  // a whole character
    ids = tokens_of(n_bytes);
  }
  return ids;
}

Status read(Forward& f, engine::SequenceId sequence, std::span<const TokenId> ids, const NeedleOptions& o) {
  Batch batch;
  for (auto at = static_cast<size_t>(f.kv().length(sequence)); at < ids.size();) {
    const size_t rows = std::min(ids.size() - at, static_cast<size_t>(f.options().max_rows));
    batch.clear();
    batch.add_chain(sequence, ids.data() + at, static_cast<int64_t>(rows), false);
    WATRA_TRY(f.run(batch, {.cancel = o.cancel}));
    at += rows;
    if (o.progress) o.progress(static_cast<int64_t>(at), static_cast<int64_t>(ids.size()));
  }
  return {};
}

double log_sum_exp(std::span<const float> row) {
  const float top = *std::ranges::max_element(row);
  double sum = 0;
  for (const float v : row) sum += std::exp(static_cast<double>(v) - top);
  return top + std::log(sum);
}

// Asks behind what is cached.
Status ask(const LoadedModel& model, engine::SequenceId sequence, const Fact& fact, const NeedleOptions& o,
           Needle& needle) {
  Forward& f = *model.forward;
  const text::EncodeOptions plain{.add_special = false, .parse_special = false};
  std::vector<TokenId> ids = model.tokenizer->encode(fact.question, plain);
  const auto n_question = static_cast<int64_t>(ids.size());
  const std::vector<TokenId> answer = model.tokenizer->encode(fact.answer, plain);
  ids.insert(ids.end(), answer.begin(), answer.end());
  ids.pop_back();  // what follows the answer is not asked for
  const auto n_answer = static_cast<int64_t>(answer.size());
  if (n_answer > f.options().max_logit_rows || n_question + n_answer > std::min(kQuestionTokens, f.options().max_rows))
    return fail("eval.no_room",
                fmt::format("a question takes {} tokens and its answer {}, a pass holds {} and {}", n_question,
                            n_answer, std::min(kQuestionTokens, f.options().max_rows), f.options().max_logit_rows),
                "a model whose vocabulary has words");
  Batch batch;
  batch.add_chain(sequence, ids.data(), static_cast<int64_t>(ids.size()), true);
  for (int64_t i = 0; i < n_answer; ++i) batch.rows[static_cast<size_t>(n_question - 1 + i)].wants_logits = true;
  WATRA_TRY(f.run(batch, {.cancel = o.cancel}));
  needle.found = true;
  for (int64_t i = 0; i < n_answer; ++i) {
    const std::span<const float> row = f.logits(i);
    const auto token = static_cast<size_t>(answer[static_cast<size_t>(i)]);
    needle.found = needle.found && std::ranges::max_element(row) - row.begin() == static_cast<ptrdiff_t>(token);
    needle.log_probability += row[token] - log_sum_exp(row);
  }
  return {};
}

}  // namespace

Result<NeedleReport> find_needles(const LoadedModel& model, std::string_view filler, const NeedleOptions& options) {
  if (!model.tokenizer)
    return fail("model.no_vocabulary", "this file has no vocabulary, so a text cannot be read",
                "use a complete model file");
  if (options.n_needles < 1 || options.n_needles > kMostNeedles)
    return fail("usage.needles",
                fmt::format("{} facts are wanted, 1 to {} are possible", options.n_needles, kMostNeedles),
                "--needles 10");
  Forward& f = *model.forward;
  const auto facts = make_facts(options);
  WATRA_ASSIGN(const auto ids, haystack(*model.tokenizer, filler, options.n_ctx - kQuestionTokens, facts));
  NeedleReport report;
  report.n_tokens = static_cast<int64_t>(ids.size());
  const engine::SequenceId sequence = f.kv().add();
  Status done;
  for (size_t i = 0; done && i < facts.size(); ++i) {
    Needle needle{.depth = (2.0 * static_cast<double>(i) + 1) / (2.0 * static_cast<double>(facts.size()))};
    f.kv().truncate(sequence, report.n_tokens);  // the last question
    done = read(f, sequence, ids, options);
    if (done) done = ask(model, sequence, facts[i], options, needle);
    report.n_found += needle.found;
    report.mean_log_probability += needle.log_probability / static_cast<double>(facts.size());
    report.needles.push_back(needle);
  }
  f.kv().remove(sequence);
  WATRA_TRY(std::move(done));
  return report;
}

}  // namespace watra::workshop
