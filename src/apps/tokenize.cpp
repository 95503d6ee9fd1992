// watra tokenize, watra detokenize: text to ids and back with a model's own vocabulary.
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/loading.h"
#include "base/file.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

struct TokenizeOptions {
  std::string model, text, text_file, texts_file;
  bool no_special = false, no_bos = false;
};

Status tokenize(const Globals& g, const TokenizeOptions& o) {
  WATRA_ASSIGN(const auto tokenizer, load_tokenizer(g, o.model));
  const text::EncodeOptions encode{.add_special = !o.no_bos, .parse_special = !o.no_special};
  if (!o.texts_file.empty()) {
    WATRA_ASSIGN(const std::string content, read_text_file(o.texts_file));
    const Json texts = Json::parse(content, nullptr, false);
    if (!texts.is_array() || !std::all_of(texts.begin(), texts.end(), [](const Json& t) { return t.is_string(); }))
      return fail("usage.texts", fmt::format("{} is not a JSON list of strings", o.texts_file),
                  "[\"first text\", \"second text\"]");
    Json ids = Json::array();
    for (const auto& t : texts) ids.push_back(tokenizer->encode(t.get_ref<const std::string&>(), encode));
    if (g.json)
      print_json({{"ids", std::move(ids)}});
    else
      for (const auto& row : ids) fmt::print("{}\n", row.dump());
    return {};
  }
  std::string text = o.text;
  if (!o.text_file.empty()) {
    WATRA_ASSIGN(text, read_text_file(o.text_file));
  }
  const auto ids = tokenizer->encode(text, encode);
  if (g.json) {
    Json pieces = Json::array();
    for (text::TokenId id : ids) pieces.push_back(tokenizer->token_bytes(id, true));
    print_json({{"ids", ids}, {"pieces", std::move(pieces)}});
  } else {
    for (text::TokenId id : ids)
      fmt::print("{:>7}  {}\n", id,
                 Json(tokenizer->token_bytes(id, true)).dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return {};
}

Status detokenize(const Globals& g, const std::string& model, const std::vector<int32_t>& ids) {
  WATRA_ASSIGN(const auto tokenizer, load_tokenizer(g, model));
  for (int32_t id : ids)
    if (!tokenizer->is_valid(id))
      return fail("usage.token_id",
                  fmt::format("{} is not a token id: the vocabulary has 0..{}", id, tokenizer->n_vocab() - 1));
  const std::string text = tokenizer->decode(ids, true);
  if (g.json)
    print_json({{"text", text}});
  else
    fmt::print("{}\n", text);
  return {};
}

}  // namespace

void add_tokenize(CLI::App& app, Globals& g, Handler& chosen) {
  auto o = std::make_shared<TokenizeOptions>();
  auto* t = app.add_subcommand("tokenize", "Turn text into token ids");
  t->add_option("MODEL", o->model, "Model file or name")->required();
  auto* text = t->add_option("TEXT", o->text, "The text");
  auto* file = t->add_option("--text-file", o->text_file, "Read the text from a file")->excludes(text);
  t->add_option("--texts", o->texts_file, "A JSON file with a list of texts")->excludes(text)->excludes(file);
  t->add_flag("--no-special", o->no_special, "Control tokens written in the text are plain text");
  t->add_flag("--no-bos", o->no_bos, "Add no token in front (or behind)");
  t->callback([&g, &chosen, o, text] {
    if (text->count() == 0 && o->text_file.empty() && o->texts_file.empty())
      throw CLI::RequiredError("TEXT, --text-file or --texts");
    chosen = [&g, o] { return tokenize(g, *o); };
  });

  auto model = std::make_shared<std::string>();
  auto ids = std::make_shared<std::vector<int32_t>>();
  auto* d = app.add_subcommand("detokenize", "Turn token ids into text");
  d->add_option("MODEL", *model, "Model file or name")->required();
  d->add_option("IDS", *ids, "Token ids")->required();
  d->callback([&g, &chosen, model, ids] { chosen = [&g, model, ids] { return detokenize(g, *model, *ids); }; });
}

}  // namespace watra::apps
