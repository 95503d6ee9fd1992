#include "text/chat_template.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "text/jinja_interpreter.h"

namespace watra::text {

using jinja::Int;
using jinja::Value;

struct ChatTemplate::Impl {
  jinja::Program program;
};

namespace {

Error to_error(const jinja::Refusal& refusal, int line) {
  Error e;
  e.code = refusal.code;
  if (refusal.code == "template.refused") {
    e.message = refusal.message;
    e.hint = "the model's template does not accept this conversation: check roles, their order and the tools";
    return e;
  }
  e.message = line > 0 ? fmt::format("line {}: {}", line, refusal.message) : refusal.message;
  if (refusal.code == "template.limit") {
    e.hint = "shorten the conversation, or use another template";
  } else if (refusal.code == "template.undefined") {
    e.hint = "the template reads something that this conversation does not have";
  }
  return e;
}

Value to_value(jinja::Runtime& rt, const nlohmann::ordered_json& json, bool content) {
  using Type = nlohmann::ordered_json::value_t;
  rt.meter.check_stack();
  switch (json.type()) {
    case Type::boolean:
      return Value::of(json.get<bool>());
    case Type::number_integer:
      return Value::of_int(json.get<int64_t>());
    case Type::number_unsigned:
      return Value::of_int(static_cast<Int>(json.get<uint64_t>()));
    case Type::number_float:
      return Value::of(json.get<double>());
    case Type::string:
      return rt.text(json.get_ref<const std::string&>(), content);
    case Type::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(to_value(rt, item, content));
      return rt.list(std::move(items));
    }
    case Type::object: {
      auto* dict = rt.make<jinja::DictObj>();
      for (const auto& [key, item] : json.items()) dict->set(rt, rt.text(key, content), to_value(rt, item, content));
      return Value::of(dict);
    }
    default:
      return Value::none();
  }
}

bool holds_content(std::string_view variable) {
  return variable == "messages" || variable == "tools" || variable == "documents";
}

std::vector<PromptSpan> spans_of(const jinja::Buffer& buffer) {
  std::vector<PromptSpan> spans;
  spans.reserve(buffer.runs().size());
  uint32_t begin = 0;
  for (const jinja::Run& run : buffer.runs()) {
    spans.push_back({buffer.bytes().substr(begin, run.end - begin), run.content});
    begin = run.end;
  }
  return spans;
}

}  // namespace

ChatTemplate::ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  auto impl = std::make_shared<Impl>();
  try {
    jinja::parse_program(source, impl->program);
    jinja::resolve_names(impl->program);
  } catch (const jinja::Refusal& refusal) {
    return fail(to_error(refusal, refusal.line));
  }
  return ChatTemplate(std::move(impl));
}

Result<std::vector<PromptSpan>> ChatTemplate::render(const Input& input, const TemplateLimits& limits) const {
  jinja::Interpreter interpreter(impl_->program, {});
  interpreter.meter.max_steps = limits.max_steps;
  interpreter.meter.max_depth = limits.max_depth;
  interpreter.meter.max_memory_bytes = limits.max_memory_bytes;
  interpreter.meter.max_output_bytes = limits.max_output_bytes;
  interpreter.meter.start_stack();
  interpreter.now_unix_seconds = input.now_unix_seconds;
  try {
    if (input.variables != nullptr && input.variables->is_object()) {
      for (const auto& [name, json] : input.variables->items()) {
        interpreter.set_variable(name, to_value(interpreter, json, holds_content(name)));
      }
    }
    jinja::Buffer& out = interpreter.make_buffer();
    interpreter.run(out);
    return spans_of(out);
  } catch (const jinja::Refusal& refusal) {
    return fail(to_error(refusal, refusal.line > 0 ? refusal.line : interpreter.line()));
  }
}

std::string join(const std::vector<PromptSpan>& spans) {
  std::string out;
  for (const PromptSpan& span : spans) out += span.text;
  return out;
}

}  // namespace watra::text
