// POST /tokenize, /detokenize, /apply-template
#include "server/chat_messages.h"
#include "server/llamacpp.h"
#include "server/openai.h"
#include "text/jinja_text.h"

namespace watra::server {

namespace {

// As text, or where it is a part of a character, as the numbers of its bytes.
Json piece_json(const std::string& bytes) {
  if (text::jinja::is_valid_utf8(bytes)) return bytes;
  Json out = Json::array();
  for (const char c : bytes) out.push_back(static_cast<unsigned char>(c));
  return out;
}

}  // namespace

std::vector<TokenId> read_mixed_list(const std::string& place, const Json& list, const ServedModel& model,
                                     bool add_special, bool parse_special) {
  std::vector<TokenId> out;
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& part = list[i];
    if (part.is_string()) {
      const auto ids = model.encode(part.get<std::string>(), add_special && out.empty(), parse_special);
      out.insert(out.end(), ids.begin(), ids.end());
    } else if (part.is_number_integer() && part.get<int64_t>() >= 0 && part.get<int64_t>() < model.n_vocab()) {
      out.push_back(part.get<TokenId>());
    } else {
      refuse_value(fmt::format("{}[{}]", place, i),
                   fmt::format("a text or a token id from 0 to {}", model.n_vocab() - 1), part);
    }
  }
  return out;
}

std::vector<TokenId> read_mixed(const std::string& place, const Json* given, const ServedModel& model, bool add_special,
                                bool parse_special) {
  constexpr const char* kNeeds = "a text, token ids, or a list of both";
  if (!given) throw bad_field(place, fmt::format("{} is missing: it needs {}", place, kNeeds));
  if (given->is_string()) return model.encode(given->get<std::string>(), add_special, parse_special);
  if (!given->is_array()) refuse_value(place, kNeeds, *given);
  return read_mixed_list(place, *given, model, add_special, parse_special);
}

void add_llamacpp_text(Router& router, House& house) {
  const auto tokenize = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const auto ids = read_mixed("content", f.find("content"), *model, f.boolean("add_special").value_or(false),
                                f.boolean("parse_special").value_or(true));
    Json tokens = Json::array();
    const bool pieces = f.boolean("with_pieces").value_or(false);
    for (const TokenId id : ids) {
      if (pieces)
        tokens.push_back({{"id", id}, {"piece", piece_json(model->shown(id))}});
      else
        tokens.push_back(id);
    }
    Json reply = {{"tokens", std::move(tokens)}};
    co_await x.reply_json(std::move(reply));
  };
  router.add({.method = "POST", .pattern = "/tokenize", .handler = tokenize});

  const auto detokenize = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const Json* tokens = f.array("tokens");
    if (!tokens) f.refuse("tokens", "a list of token ids");
    const auto ids = read_token_ids("tokens", *tokens, *model);
    Json reply = {{"content", model->tokenizer().decode(ids, true)}};
    co_await x.reply_json(std::move(reply));
  };
  router.add({.method = "POST", .pattern = "/detokenize", .handler = detokenize});

  const auto apply = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const Json messages = read_messages(f);
    const Json variables = template_variables(*model, f);
    const Toolbox tools = read_openai_tools(f);
    const auto prompt =
        model->render(messages, tools.shown(), &variables, f.boolean("add_generation_prompt").value_or(true));
    Json reply = {{"prompt", text::join(prompt.spans)}};
    co_await x.reply_json(std::move(reply));
  };
  router.add({.method = "POST", .pattern = "/apply-template", .handler = apply});
}

}  // namespace watra::server
