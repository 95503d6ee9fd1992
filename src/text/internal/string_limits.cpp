#include "text/internal/string_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "text/internal/utf8.h"

namespace watra::text {
namespace {

constexpr uint32_t kFirstMarker = 0xF0000;  // private use, plane 15; of marker(0) every string takes
constexpr std::string_view kHead = "^[^\\u{", kTail = "}-\\u{10ffff}]{";

std::string marker(int64_t most) {
  std::string out;
  utf8_append(out, kFirstMarker + static_cast<uint32_t>(most));
  return out;
}

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

int64_t count_characters(std::string_view bytes) { return std::ranges::count_if(bytes, begins_character); }

void collect(const nlohmann::ordered_json& at, std::vector<int64_t>& limits) {
  if (at.is_structured()) {
    for (const auto& part : at) collect(part, limits);
    return;
  }
  if (!at.is_string()) return;
  const std::string_view text = at.get_ref<const std::string&>();
  if (!text.starts_with(kHead)) return;
  uint32_t first = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + kHead.size(), end, first, 16);
  if (read.ec != std::errc() || !std::string_view(read.ptr, end).starts_with(kTail) || first <= kFirstMarker) return;
  limits.push_back(first - kFirstMarker);
}

}  // namespace

std::string counted_string(int64_t least, int64_t most) {
  return fmt::format("{}{:x}{}{},}}$", kHead, kFirstMarker + static_cast<uint32_t>(most), kTail, least);
}

std::vector<int64_t> string_limits(const nlohmann::ordered_json& shape) {
  std::vector<int64_t> limits;
  collect(shape, limits);
  std::ranges::sort(limits);
  const auto twice = std::ranges::unique(limits);
  limits.erase(twice.begin(), twice.end());
  return limits;
}

StringPieces::StringPieces(std::span<const std::string> pieces) {
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string_view piece = pieces[i];
    const auto token = static_cast<TokenId>(i);
    const size_t mark = std::min(piece.find('"'), piece.size());
    leading_.push_back({static_cast<int32_t>(count_characters(piece.substr(0, mark))), token});
    int64_t longest = 0;
    for (size_t begin = mark; begin < piece.size();) {
      const size_t end = std::min(piece.find('"', begin + 1), piece.size());
      longest = std::max(longest, count_characters(piece.substr(begin + 1, end - begin - 1)));
      begin = end;
    }
    if (longest > 0) begun_.push_back({static_cast<int32_t>(longest), token});
  }
  for (auto* list : {&leading_, &begun_}) std::ranges::stable_sort(*list, std::greater(), &Entry::n_chars);
}

void StringPieces::clear(std::span<uint32_t> bits, const std::vector<Entry>& entries, int64_t most) {
  for (const Entry& e : entries) {
    if (e.n_chars <= most) return;
    const auto word = static_cast<size_t>(e.token) / 32;
    if (word < bits.size()) bits[word] &= ~(1u << (static_cast<uint32_t>(e.token) % 32));
  }
}

void StringPlace::read(std::string_view bytes) {
  is_outside_ = false;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"') {
      *this = {};
    } else if (begins_character(c)) {
      ++n_chars_;
      n_missing_ = byte < 0xC0 ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    } else {
      n_missing_ = std::max<int64_t>(n_missing_ - 1, 0);
    }
  }
}

int64_t StringPlace::room(std::span<const int64_t> limits, const Takes& takes) {
  int64_t most = limit_;
  if (limit_ == kUnknown && n_missing_ > 0) {
    most = limits.front();  // in the middle of a character nothing can be asked
  } else if (limit_ == kUnknown) {
    is_outside_ = is_outside_ || !takes(marker(0));
    if (is_outside_) return kNone;
    const auto it = std::ranges::find_if(limits, [&](int64_t n) { return !takes(marker(n)); });
    most = limit_ = it == limits.end() ? kNone : *it;
  }
  return most == kNone ? kNone : std::max<int64_t>(most - n_chars_, 0);
}

void StringPlace::hold(std::span<uint32_t> bits, const StringPieces& pieces, std::span<const int64_t> limits,
                       const Takes& takes) {
  pieces.keep_short_begun(bits, limits.front());
  if (const int64_t most = room(limits, takes); most != kNone) pieces.keep_short(bits, most);
}

bool StringPlace::has_room(std::string_view bytes, std::span<const int64_t> limits, const Takes& takes) {
  const int64_t most = room(limits, takes);
  return most == kNone || count_characters(bytes.substr(0, bytes.find('"'))) <= most;
}

}  // namespace watra::text
