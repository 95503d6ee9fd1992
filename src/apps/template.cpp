// watra template: a model's chat template applied to messages.
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/loading.h"
#include "base/file.h"
#include "base/json_nesting.h"
#include "text/chat_prompt.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

struct TemplateOptions {
  std::string model, messages_file, tools_file, template_file;
  std::vector<std::string> variables;
  bool no_generation_prompt = false;
};

// Deeper than any message or schema.
constexpr int kMaxJsonDepth = 256;

Result<Json> read_json(const std::string& path, bool wants_list) {
  WATRA_ASSIGN(const std::string content, read_text_file(path));
  if (nests_deeper(content, kMaxJsonDepth))
    return fail("usage.json", fmt::format("{} is nested deeper than {} levels", path, kMaxJsonDepth));
  Json value = Json::parse(content, nullptr, false);
  if (value.is_discarded()) return fail("usage.json", fmt::format("{} is not valid JSON", path));
  if (wants_list && !value.is_array())
    return fail("usage.json", fmt::format("{} holds a JSON {}, wanted a list", path, value.type_name()));
  return value;
}

Status run_template(const Globals& g, const TemplateOptions& o) {
  checkpoint::Checkpoint file;
  WATRA_ASSIGN(std::shared_ptr<const text::Tokenizer> tokenizer, load_tokenizer(g, o.model, &file));
  std::string source = file.metadata().get_string("tokenizer.chat_template").value_or("");
  if (!o.template_file.empty()) {
    WATRA_ASSIGN(source, read_text_file(o.template_file));
  } else if (source.empty()) {
    return fail("template.missing",
                fmt::format("{} has no chat template: it continues text, it does not chat", o.model),
                "--template FILE, or `watra run --raw`");
  }
  WATRA_ASSIGN(const auto prompt, text::ChatPrompt::create(source, tokenizer));
  WATRA_ASSIGN(const Json messages, read_json(o.messages_file, true));
  Json tools;
  if (!o.tools_file.empty()) {
    WATRA_ASSIGN(tools, read_json(o.tools_file, true));
  }
  Json variables = Json::object();
  for (const std::string& v : o.variables) {
    const size_t eq = v.find('=');
    if (eq == std::string::npos || eq == 0)
      return fail("usage.var", fmt::format("--var {} is not name=value", v), "--var enable_thinking=false");
    Json value = Json::parse(v.substr(eq + 1), nullptr, false);  // true, 3, "x" ...; anything else is a string
    variables[v.substr(0, eq)] = value.is_discarded() ? Json(v.substr(eq + 1)) : std::move(value);
  }
  WATRA_ASSIGN(const auto rendered, prompt.render({.messages = &messages,
                                                   .tools = tools.is_null() ? nullptr : &tools,
                                                   .variables = &variables,
                                                   .add_generation_prompt = !o.no_generation_prompt}));
  if (g.json) {
    Json spans = Json::array();
    for (const auto& s : rendered.spans) spans.push_back({{"text", s.text}, {"content", s.is_content}});
    print_json({{"prompt", rendered.text()}, {"ids", rendered.ids}, {"spans", std::move(spans)}});
  } else {
    fmt::print("{}", rendered.text());
  }
  return {};
}

}  // namespace

void add_template(CLI::App& app, Globals& g, Handler& chosen) {
  auto o = std::make_shared<TemplateOptions>();
  auto* c = app.add_subcommand("template", "Apply a model's chat template to messages");
  c->add_option("MODEL", o->model, "Model file or name")->required();
  c->add_option("--messages", o->messages_file, "JSON list of messages")->required();
  c->add_option("--tools", o->tools_file, "JSON list of tools");
  c->add_option("--template", o->template_file, "Use this template instead of the model's");
  c->add_option("--var", o->variables, "name=value for the template (repeatable)")->allow_extra_args(false);
  c->add_flag("--no-generation-prompt", o->no_generation_prompt, "Do not open the assistant's turn");
  c->callback([&g, &chosen, o] { chosen = [&g, o] { return run_template(g, *o); }; });
}

}  // namespace watra::apps
