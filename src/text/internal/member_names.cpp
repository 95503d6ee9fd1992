#include "text/internal/member_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "text/internal/utf8.h"

namespace watra::text {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_repeat(char c) { return c == '*' || c == '?' || c == '{'; }  // may be none

// A character that stands for itself in a pattern, and in a class of one.
std::string plain(std::string_view character) {
  if (character.size() == 1 && std::string_view("^$\\.*+?()[]{}|/-").find(character) != std::string_view::npos)
    return "\\" + std::string(character);
  return std::string(character);
}

// What every name that matches begins with: characters, or the inside of one class.
struct Beginning {
  std::vector<std::string> characters;
  std::string in_class;
};

std::optional<Beginning> beginning_of(std::string_view p) {
  if (!p.starts_with('^') || p.find('|') != std::string_view::npos) return std::nullopt;
  Beginning out;
  size_t i = 1;
  while (i < p.size()) {
    const size_t n = utf8_length(p[i]);
    std::string one(p.substr(i, n));
    size_t next = i + n;
    if (one == "\\") {
      if (next >= p.size() || is_letter(p[next])) break;  // \d, \u0041
      one = p.substr(next, utf8_length(p[next]));
      next += one.size();
    } else if (n == 1 && std::string_view("^$.*+?()[]{}").find(one) != std::string_view::npos) {
      break;
    }
    if (next < p.size() && is_repeat(p[next])) break;
    out.characters.push_back(std::move(one));
    i = next;
  }
  if (!out.characters.empty()) return out;
  if (i >= p.size() || p[i] != '[') return std::nullopt;
  const size_t end = p.find(']', i + 2);
  const std::string_view inside = end == std::string_view::npos ? "" : p.substr(i + 1, end - i - 1);
  if (inside.empty() || inside[0] == '^' || inside.find('\\') != std::string_view::npos ||
      inside.find('[') != std::string_view::npos)
    return std::nullopt;
  if (end + 1 >= p.size() || is_repeat(p[end + 1])) return std::nullopt;
  out.in_class = inside;  // at its ends a hyphen is one; in the middle of another class it would make a range
  if (out.in_class.ends_with('-')) out.in_class.insert(out.in_class.size() - 1, "\\");
  if (out.in_class.starts_with('-')) out.in_class.insert(0, "\\");
  return out;
}

// The ASCII characters of the inside of a class; nothing where it has others.
std::optional<std::set<unsigned char>> members_of(std::string_view inside) {
  std::set<unsigned char> out;
  for (size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] == '\\') ++i;  // beginning_of() leaves hyphens alone
    const auto from = static_cast<unsigned char>(inside[i]);
    const bool is_range = i + 2 < inside.size() && inside[i + 1] == '-' && inside[i + 2] != '\\';
    const auto to = static_cast<unsigned char>(is_range ? inside[i + 2] : inside[i]);
    if (from > 127 || to > 127) return std::nullopt;
    for (int c = from; c <= to; ++c) out.insert(static_cast<unsigned char>(c));
    if (is_range) i += 2;
  }
  return out;
}

// What the first character may be, of names that begin so.
std::optional<std::set<unsigned char>> first_of(const Beginning& b) {
  if (b.characters.empty()) return members_of(b.in_class);
  const std::string& first = b.characters.front();
  if (first.size() > 1) return std::nullopt;
  return std::set<unsigned char>{static_cast<unsigned char>(first[0])};
}

struct Node {
  std::map<std::string, std::unique_ptr<Node>> next;  // by character
  bool is_name = false;                               // taken
  bool is_beginning = false;                          // whatever comes behind it is taken
};

Node& at(Node& root, const std::vector<std::string>& characters) {
  Node* node = &root;
  for (const std::string& c : characters) {
    auto& next = node->next[c];
    if (!next) next = std::make_unique<Node>();
    node = next.get();
  }
  return *node;
}

std::vector<std::string> characters_of(std::string_view text) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size(); i += utf8_length(text[i])) out.emplace_back(text.substr(i, utf8_length(text[i])));
  return out;
}

// What may stand behind `node`, "" included where `may_end`.
std::string rest(const Node& node, const std::string& classes, bool may_end) {
  std::string none_of = classes, choices;
  for (const auto& [character, next] : node.next) none_of += plain(character);
  choices = (none_of.empty() ? "." : "[^" + none_of + "]") + ".*";  // a count would make the grammar slow to compile
  for (const auto& [character, next] : node.next)
    if (!next->is_beginning && classes.empty()) choices += "|" + plain(character) + rest(*next, "", !next->is_name);
  return fmt::format("({}){}", choices, may_end ? "?" : "");
}

}  // namespace

std::string whole_names(const std::string& pattern) {
  if (!pattern.starts_with('^') || pattern.find('$') != std::string::npos || pattern.find('|') != std::string::npos)
    return pattern;
  return pattern + ".*$";
}

bool may_share_a_name(const std::string& a, const std::string& b) {
  const auto begin_a = beginning_of(a), begin_b = beginning_of(b);
  if (!begin_a || !begin_b) return true;
  const auto &in_a = begin_a->characters, &in_b = begin_b->characters;
  for (size_t i = 0; i < std::min(in_a.size(), in_b.size()); ++i)
    if (in_a[i] != in_b[i]) return false;
  const auto first_a = first_of(*begin_a), first_b = first_of(*begin_b);
  if (!first_a || !first_b) return true;
  return std::ranges::any_of(*first_a, [&](unsigned char c) { return first_b->contains(c); });
}

std::string other_names(const std::vector<std::string>& patterns, const std::vector<std::string>& taken) {
  Node root;
  std::string classes;
  for (const std::string& pattern : patterns) {
    const auto beginning = beginning_of(pattern);
    if (!beginning) return "";
    if (beginning->characters.empty())
      classes += beginning->in_class;
    else
      at(root, beginning->characters).is_beginning = true;
  }
  for (const std::string& name : taken)
    if (!name.empty()) at(root, characters_of(name)).is_name = true;
  return "^" + rest(root, classes, false) + "$";
}

}  // namespace watra::text
