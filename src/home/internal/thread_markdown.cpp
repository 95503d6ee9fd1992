#include "home/internal/thread_markdown.h"

#include <fmt/chrono.h>

#include "home/check.h"

namespace watra::home {
namespace {

// Who speaks, what a conversation without a title is called, the conditions of a compare. The names of those who speak
// are the page's.
struct Words {
  std::string user, assistant, system, tool, untitled, missing, edited;
  std::string column, model, quant, persona, sampling, seed, speed, vote, pasted, none, best, tie, no_good;
  std::string blind, decimal;
};

const Words& words_of(const std::string& language) {
  static const Words pl = {"Ty",
                           "Model",
                           "Wskazówka",
                           "Narzędzie",
                           "Rozmowa z {:%d.%m.%Y}",
                           "tego pliku już nie ma",
                           "poprawione",
                           "Kolumna",
                           "Model",
                           "Kwantyzacja",
                           "Persona",
                           "Ustawienia",
                           "Ziarno",
                           "Prędkość (tok./s)",
                           "Głos",
                           "wklejone",
                           "—",
                           "najlepsza",
                           "remis",
                           "żadna",
                           "Na ślepo: kto odpowiadał, pokaże głosowanie.",
                           ","};
  static const Words en = {"You",
                           "Model",
                           "Instructions",
                           "Tool",
                           "Conversation of {:%Y-%m-%d}",
                           "this file is not here any more",
                           "edited",
                           "Column",
                           "Model",
                           "Quantization",
                           "Persona",
                           "Settings",
                           "Seed",
                           "Speed (tok/s)",
                           "Vote",
                           "pasted",
                           "—",
                           "best",
                           "tie",
                           "none",
                           "Blind: the vote will tell who answered.",
                           "."};
  return language == "pl" ? pl : en;
}

std::string speaker_of(const Message& m, const Words& words) {
  if (m.role == "user") return m.actor_name.value_or(words.user);
  if (m.role == "assistant") return m.actor_name.value_or(words.assistant);
  return m.role == "system" ? words.system : words.tool;
}

std::string heading_of(const Thread& thread, const std::vector<Message>& path, const Words& words) {
  if (!thread.title.empty()) return thread.title;
  for (const Message& m : path)
    if (std::string title = title_of(m.text()); !title.empty()) return title;
  const std::chrono::sys_seconds at{std::chrono::seconds(thread.created_ms / 1000)};
  return fmt::format(fmt::runtime(words.untitled), at);
}

std::string said(const Message& m, const Words& words) {
  std::string out;
  for (const Json& p : m.parts) {
    if (p.at("type") == "text") out += p.at("text").get<std::string>() + "\n";
    if (!p.contains("hash")) continue;
    const std::string name = p.at("name"), hash = p.at("hash");
    out += m.lacks(hash) ? fmt::format("{} ({})\n", name, words.missing)
                         : fmt::format("[{}](attachments/{})\n", name, hash);
  }
  return m.state == "erased" ? out + "*—*\n" : out;
}

// One line of a table, whatever the text.
std::string cell(std::string text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

struct Column {
  std::string label, model, quant, persona, sampling, seed, speed, vote;
  std::optional<Message> answer;
};

std::string text_of_value(const Json& value) {
  return value.is_null() ? "" : value.is_string() ? value.get<std::string>() : dump(value);
}

std::string verdict_on(const Json& column, const Json& vote, const Words& words) {
  const Json& verdict = member(vote, "verdict");
  if (verdict == "best") return member(vote, "column") == column.at("id") ? words.best : "";
  return verdict == "tie" ? words.tie : verdict == "none" ? words.no_good : "";
}

Column column_of(Home& home, const Json& told, const Json& vote, const Words& words) {
  Column c{.label = told.at("label"), .vote = verdict_on(told, vote, words)};
  Json message;
  if (!told.at("message").is_null()) {
    c.answer = home.ledger().message(told.at("message"));
    message = c.answer->json();  // veiled, as everywhere
  }
  const Json &facts = member(message, "answer"), &actor = member(message, "actor"), &by = member(facts, "model");
  c.model = text_of_value(told.at("pasted") ? member(actor, "name") : told.at("model"));
  if (told.at("pasted")) c.model += fmt::format(" ({})", words.pasted);
  c.quant = text_of_value(member(by, "quant"));
  c.persona = text_of_value(member(actor, "kind") == "companion" ? member(actor, "name") : told.at("persona"));
  const Json& asked = told.at("sampling");  // what was other than the settings
  for (const auto& [name, value] : asked.items())
    c.sampling += fmt::format("{}{} {}", c.sampling.empty() ? "" : ", ", name, text_of_value(value));
  c.seed = text_of_value(member(facts, "seed"));
  if (const Json& speed = member(facts, "decode_tokens_per_s"); speed.is_number())
    c.speed = fmt::format("{:.1f}", speed.get<double>());
  if (const size_t point = c.speed.find('.'); point != std::string::npos) c.speed.replace(point, 1, words.decimal);
  return c;
}

// What the answers were asked under, side by side; rows in which nobody has anything are left out.
std::string conditions(const std::vector<Column>& columns, const Words& words) {
  std::string out = fmt::format("\n| {} |", words.column), line = "|---|";
  for (const Column& c : columns) out += fmt::format(" {} |", c.label), line += "---|";
  out += "\n" + line + "\n";
  const std::pair<const std::string&, std::string Column::*> rows[] = {
      {words.model, &Column::model},       {words.quant, &Column::quant}, {words.persona, &Column::persona},
      {words.sampling, &Column::sampling}, {words.seed, &Column::seed},   {words.speed, &Column::speed},
      {words.vote, &Column::vote}};
  for (const auto& [name, what] : rows) {
    std::string row = fmt::format("| {} |", name);
    bool is_empty = true;
    for (const Column& c : columns) {
      row += fmt::format(" {} |", (c.*what).empty() ? words.none : cell(c.*what));
      is_empty = is_empty && (c.*what).empty();
    }
    if (!is_empty) out += row + "\n";
  }
  return out;
}

std::string compare_markdown(Home& home, const Thread& thread, const Json& compare, const Words& words) {
  const std::string question = compare.at("question");
  const std::string title = !thread.title.empty() ? thread.title : title_of(question);
  std::string out = "# " + (title.empty() ? heading_of(thread, {}, words) : title) + "\n";
  if (compare.at("system").is_string())
    out += fmt::format("\n**{}**\n\n{}\n", words.system, compare.at("system").get<std::string>());
  out += fmt::format("\n**{}**\n\n{}\n", words.user, question.empty() ? "*—*" : question);
  std::vector<Column> columns;
  for (const Json& column : compare.at("columns"))
    columns.push_back(column_of(home, column, compare.at("vote"), words));
  if (compare.at("blind") == true && compare.at("revealed") == false) out += "\n" + words.blind + "\n";
  out += conditions(columns, words);
  for (const Column& c : columns)
    out += fmt::format("\n## {}{}{}\n\n{}", c.label, c.model.empty() ? "" : ": ", c.model,
                       c.answer ? said(*c.answer, words) : "*—*\n");
  return out;
}

}  // namespace

std::string thread_markdown(Home& home, const std::string& id, const std::string& language) {
  const auto held = home.db().lock();
  const Words& words = words_of(language);
  const Thread thread = home.ledger().thread(id);
  if (const Json compare = home.compares().exported(id); !compare.is_null())
    return compare_markdown(home, thread, compare, words);
  const auto path = thread.head ? home.ledger().path(*thread.head) : std::vector<Message>();
  std::string out = "# " + heading_of(thread, path, words) + "\n";
  for (const Message& m : path) {
    const std::string edited = m.source == "edited" ? fmt::format(" ({})", words.edited) : "";
    out += fmt::format("\n**{}**{}\n\n{}", speaker_of(m, words), edited, said(m, words));
  }
  return out;
}

}  // namespace watra::home
