#include "apps/usage_error.h"

#include <algorithm>
#include <cctype>

#include "base/closest_word.h"
#include "base/file.h"
#ifndef WATRA_ENGINE_ONLY
#include "hub/catalog.h"
#endif

namespace watra::apps {
namespace {

// The command that was typed, as deep as it was understood: watra, watra serve, watra eval perplexity.
const CLI::App& chosen_in(const CLI::App& app) {
  const CLI::App* at = &app;
  for (auto parsed = at->get_subcommands(); !parsed.empty(); parsed = at->get_subcommands()) at = parsed.front();
  return *at;
}

std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent ? full_name(*parent) + " " + command.get_name() : command.get_name();
}

std::string without_dashes(std::string_view option) {
  option = option.substr(0, option.find('='));
  return std::string(option.substr(std::min(option.find_first_not_of('-'), option.size())));
}

// "-5" and "-" are words.
bool is_option(std::string_view word) {
  return word.size() > 1 && word[0] == '-' && word != "--" && !std::isdigit(static_cast<unsigned char>(word[1])) &&
         word[1] != '.';
}

// The names of its options without their dashes, those of the commands above it as well.
std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> out;
  for (const CLI::App* at = &command; at; at = at->get_parent())
    for (const CLI::Option* option : at->get_options()) {
      out.insert(out.end(), option->get_lnames().begin(), option->get_lnames().end());
      out.insert(out.end(), option->get_snames().begin(), option->get_snames().end());
    }
  return out;
}

// All commands that do something, without the one that was chosen.
void add_others(const CLI::App& app, const CLI::App& chosen, std::vector<const CLI::App*>& out) {
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : below) add_others(*command, chosen, out);
  if (below.empty() && &app != &chosen) out.push_back(&app);
}

std::string dashed(std::string_view name) { return fmt::format("{}{}", name.size() > 1 ? "--" : "-", name); }

// " (did you mean --threads?)", or which other command has it, or nothing.
std::string what_was_meant(const CLI::App& app, const CLI::App& chosen, std::string_view word) {
  const std::string name = without_dashes(word);
  const auto meant = closest_word(name, option_names(chosen));
  if (!meant.empty()) return fmt::format(" (did you mean {}?)", dashed(meant));
  std::vector<const CLI::App*> others;
  add_others(app, chosen, others);
  for (const CLI::App* other : others) {
    const auto names = option_names(*other);
    if (std::ranges::find(names, name) != names.end()) return fmt::format(" (it is one of {})", full_name(*other));
  }
  return "";
}

bool is_model(const std::string& word) {
#ifndef WATRA_ENGINE_ONLY
  if (hub::find_in_catalog(word)) return true;
#endif
  std::error_code ec;
  return word.ends_with(".gguf") || fs::is_regular_file(word, ec);
}

Error no_such_command(const CLI::App& at, const std::vector<std::string>& words) {
  std::vector<std::string> commands;
  for (const CLI::App* command : at.get_subcommands([](const CLI::App*) { return true; }))
    commands.push_back(command->get_name());
  const std::string name = full_name(at);
  const std::string hint = fmt::format("{} --help tells what each does", name);
  if (words.empty()) {
    const char* first = at.get_parent() ? "" : "watra run smollm2 \"Hello\" for an answer here; ";
    return {"usage.command", fmt::format("{} needs a command: {}", name, fmt::join(commands, ", ")), first + hint};
  }
  const std::string& word = words.front();
  if (const auto meant = closest_word(word, commands); !meant.empty())
    return {"usage.command", fmt::format("{} has no command {} (did you mean {} {}?)", name, word, name, meant), hint};
  if (!at.get_parent() && is_model(word))
    return {"usage.command", fmt::format("{} is a model, a command comes first", word),
            fmt::format("{} run {}, or {} serve {}", name, word, name, word)};
  return {"usage.command", fmt::format("{} has no command {}; there are {}", name, word, fmt::join(commands, ", ")),
          hint};
}

}  // namespace

Error usage_error(const CLI::App& app, const CLI::ParseError& e) {
  const CLI::App& chosen = chosen_in(app);
  const std::string name = full_name(chosen), help = fmt::format("{} --help", name);
  std::vector<std::string> words;
  std::string unknown;
  for (const std::string& word : app.remaining(true)) {
    if (is_option(word))
      unknown += fmt::format("{}{}{}", unknown.empty() ? "" : ", ", word, what_was_meant(app, chosen, word));
    else if (word != "--")
      words.push_back(word);
  }
  // Before what is missing: an option nobody knows took its value along, which then stands where another word belongs.
  if (!unknown.empty())
    return {"usage.option", fmt::format("{} has no option {}", name, unknown), fmt::format("{} lists them", help)};
  const bool has_commands = !chosen.get_subcommands([](const CLI::App*) { return true; }).empty();
  if (has_commands && (!words.empty() || dynamic_cast<const CLI::RequiredError*>(&e)))
    return no_such_command(chosen, words);
  if (!words.empty())
    return {"usage.word", fmt::format("{} does not know what to do with: {}", name, fmt::join(words, " ")),
            fmt::format("quotation marks around words that belong together; {}", help)};
  return {"usage", e.what(), help};
}

}  // namespace watra::apps
