#include "hub/hub_reference.h"

#include <algorithm>
#include <charconv>

#include "hub/url.h"

namespace watra::hub {
namespace {

constexpr std::string_view kDefaultRevision = "main";

}  // namespace

std::string HubReference::to_string() const {
  std::string text = "hf:" + repo;
  if (!file.empty()) text += "/" + file;
  if (revision != kDefaultRevision) text += "@" + revision;
  return text;
}

fs::path HubReference::shelf_path() const {
  std::string folder = repo;
  if (revision != kDefaultRevision) {
    folder += "@" + revision;
    std::replace(folder.begin() + static_cast<std::ptrdiff_t>(repo.size()), folder.end(), '/', '-');
  }
  return fs::path(folder) / file;
}

Result<HubReference> parse_hub_reference(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail("hub.bad_reference", fmt::format("{} is not a name on the hub: {}", text, why),
                "write it as hf:org/repo/file.gguf, with @revision behind it if you want another than main");
  };
  std::string_view rest = text;
  if (rest.starts_with("hf:")) rest.remove_prefix(3);
  while (rest.starts_with('/')) rest.remove_prefix(1);
  HubReference reference;
  reference.revision = kDefaultRevision;
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    reference.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (reference.revision.empty()) return bad("nothing stands behind the @");
  }
  std::vector<std::string> components;
  for (const std::string_view path : {rest, std::string_view(reference.revision)}) {
    for (size_t from = 0; from <= path.size();) {
      const size_t end = std::min(path.find('/', from), path.size());
      const auto component = path.substr(from, end - from);
      if (!is_safe_file_name(component)) return bad(fmt::format("'{}' cannot be a part of it", component));
      if (path.data() == rest.data()) components.emplace_back(component);
      from = end + 1;
    }
  }
  if (components.size() < 2) return bad("it needs an organisation and a repository");
  reference.repo = components[0] + "/" + components[1];
  for (size_t i = 2; i < components.size(); ++i) reference.file += (i > 2 ? "/" : "") + components[i];
  return reference;
}

std::string SplitName::part(int i) const { return fmt::format("{}-{:05}-of-{:05}.gguf", stem, i, count); }

std::optional<SplitName> parse_split_name(std::string_view name) {
  constexpr size_t kTail = std::string_view("-00001-of-00003.gguf").size();
  if (name.size() <= kTail) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - kTail);
  SplitName split;
  const auto number = [&](size_t at, int& out) {
    const auto digits = tail.substr(at, 5);
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + 5, out);
    return ec == std::errc{} && end == digits.data() + 5 && digits[0] != '-';
  };
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") return std::nullopt;
  if (!number(1, split.index) || !number(10, split.count)) return std::nullopt;
  if (split.index < 1 || split.index > split.count) return std::nullopt;
  split.stem = name.substr(0, name.size() - kTail);
  return split;
}

std::vector<std::string> all_parts(const std::string& file) {
  const auto split = parse_split_name(file);
  if (!split) return {file};
  std::vector<std::string> parts;
  for (int i = 1; i <= split->count; ++i) parts.push_back(split->part(i));
  return parts;
}

}  // namespace watra::hub
