// Renders JSON lines: {"template": "...", "variables": {...}, "now": seconds} to {"text", "spans"} or {"error",
// "message"}. Templates are parsed once each. --repeat N renders every line N times and adds the
// milliseconds of processor time that one took.
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "text/chat_template.h"

int main(int argc, char** argv) {
  using nlohmann::ordered_json;
  const int repeat = argc > 2 && std::string(argv[1]) == "--repeat" ? std::atoi(argv[2]) : 1;
  std::map<std::string, watra::Result<watra::text::ChatTemplate>> parsed;
  for (std::string line; std::getline(std::cin, line);) {
    const ordered_json job = ordered_json::parse(line);
    const std::string source = job["template"];
    auto it = parsed.find(source);
    if (it == parsed.end()) it = parsed.emplace(source, watra::text::ChatTemplate::parse(source)).first;
    ordered_json answer;
    const auto refuse = [&](const watra::Error& e) {
      answer["error"] = e.code;
      answer["message"] = e.message;
    };
    if (!it->second) {
      refuse(it->second.error());
    } else {
      const watra::text::ChatTemplate::Input input{&job["variables"], job.value("now", int64_t{0})};
      const std::clock_t start = std::clock();
      auto spans = it->second->render(input);
      for (int i = 1; i < repeat; ++i) spans = it->second->render(input);
      const double spent_ms = 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      if (!spans) {
        refuse(spans.error());
      } else {
        answer["text"] = watra::text::join(*spans);
        for (const auto& span : *spans) answer["spans"].push_back({span.text, span.is_content});
      }
      if (repeat > 1) answer["ms"] = spent_ms / repeat;
    }
    std::cout << answer.dump(-1, ' ', false, ordered_json::error_handler_t::replace) << '\n';
  }
}
