#include "text/jinja_wrap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "text/jinja_strings.h"
#include "text/jinja_unicode.h"

namespace watra::text::jinja {
namespace {

// ---- textwrap ----

struct Char {
  char32_t c;
  uint32_t begin;  // byte position
};

bool wraps_at(char32_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_letter(char32_t c) { return is_word(c) && !is_decimal(c) && c != '_'; }
bool is_word_or_punctuation(char32_t c) {
  return is_word(c) || (c < 0x80 && c != 0 && std::strchr("!\"'&.,?", static_cast<int>(c)) != nullptr);
}

// Where the chunks of textwrap's word-splitting pattern begin and end, as character positions.
class Chunks {
 public:
  Chunks(const std::vector<Char>& text, bool hyphens) : text_(text), n_(text.size()) {
    for (size_t p = 0; p < n_;) {
      const size_t end = hyphens ? chunk_end(p) : run_end(p, wraps_at(text_[p].c));
      ends.push_back({p, end});
      p = end;
    }
  }
  std::vector<std::pair<size_t, size_t>> ends;

 private:
  char32_t at(size_t p) const { return p < n_ ? text_[p].c : 0; }

  size_t run_end(size_t p, bool space) const {
    while (p < n_ && wraps_at(text_[p].c) == space) ++p;
    return p;
  }

  // The end of two or more hyphens before a word character, else p.
  size_t dashes_end(size_t p) const {
    size_t q = p;
    while (at(q) == '-') ++q;
    return q - p >= 2 && q < n_ && is_word(at(q)) ? q : p;
  }

  size_t chunk_end(size_t p) const {
    if (wraps_at(at(p))) return run_end(p, true);
    if (p > 0 && is_word_or_punctuation(at(p - 1))) {
      if (const size_t q = dashes_end(p); q > p) return q;
    }
    for (size_t q = p + 1; q < n_; ++q) {
      if (wraps_at(at(q))) return q;
      if (at(q) != '-') continue;
      const bool after_letters = q >= 2 && is_letter(at(q - 1)) && is_letter(at(q - 2));
      const bool after_short = q >= 3 && is_word_or_punctuation(at(q - 1)) && at(q - 2) == '-' && is_letter(at(q - 3));
      const bool letters_follow =
          is_letter(at(q + 1)) && (is_letter(at(q + 2)) || (at(q + 2) == '-' && is_letter(at(q + 3))));
      if ((after_letters || after_short) && letters_follow) return q + 1;
      if (is_word_or_punctuation(at(q - 1)) && dashes_end(q) > q) return q;
    }
    return n_;
  }

  const std::vector<Char>& text_;
  size_t n_;
};

}  // namespace

std::vector<Str> wrap_words(Runtime& rt, const Str& paragraph, const WrapStyle& style) {
  if (style.width <= 0) refuse_type("invalid width (must be > 0)");
  std::vector<Char> text;
  rt.meter.take(paragraph.size_bytes() * sizeof(Char));
  rt.meter.tick(paragraph.size_bytes() / 64);
  for (CharReader r(paragraph); r.next();) text.push_back({r.c(), static_cast<uint32_t>(r.start())});
  const size_t width = static_cast<size_t>(std::min<Int>(style.width, INT32_MAX));
  const auto blank = [&](const std::pair<size_t, size_t>& chunk) {
    return std::all_of(text.begin() + static_cast<ptrdiff_t>(chunk.first),
                       text.begin() + static_cast<ptrdiff_t>(chunk.second),
                       [](const Char& c) { return is_space(c.c); });
  };
  std::vector<std::pair<size_t, size_t>> chunks = Chunks(text, style.break_on_hyphens).ends;
  std::vector<Str> lines;
  for (size_t i = 0; i < chunks.size();) {
    rt.meter.tick();
    if (!lines.empty() && blank(chunks[i]) && ++i == chunks.size()) break;
    const size_t first = i, begin = chunks[i].first;
    size_t end = begin, last_begin = begin;  // of the line so far, and of its last chunk
    while (i < chunks.size() && chunks[i].second - begin <= width) {
      last_begin = chunks[i].first;
      end = chunks[i++].second;
    }
    if (i < chunks.size() && chunks[i].second - chunks[i].first > width) {
      auto& chunk = chunks[i];
      const size_t left = width - (end - begin);
      if (style.break_long_words) {
        size_t cut = chunk.first + left;
        if (style.break_on_hyphens) {
          size_t hyphen = cut;
          while (hyphen > chunk.first && text[hyphen - 1].c != '-') --hyphen;
          const bool other = std::any_of(text.begin() + static_cast<ptrdiff_t>(chunk.first),
                                         text.begin() + static_cast<ptrdiff_t>(std::max(hyphen, chunk.first + 1) - 1),
                                         [](const Char& c) { return c.c != '-'; });
          if (hyphen > chunk.first + 1 && other) cut = hyphen;
        }
        last_begin = chunk.first;  // also where nothing of it fits: then the white space before it stays
        end = chunk.first = cut;
      } else if (i == first) {
        last_begin = chunk.first;
        end = chunk.second;
        ++i;
      }
    }
    if (end > begin && blank({last_begin, end})) end = last_begin;
    if (end > begin) {
      lines.push_back(paragraph.slice(text[begin].begin, end < text.size() ? text[end].begin : paragraph.size_bytes()));
    }
  }
  return lines;
}

// ---- pprint ----

namespace {

constexpr Int kPageWidth = 80;

class PrettyPrinter {
 public:
  PrettyPrinter(Runtime& rt, Buffer& out) : rt_(rt), out_(out) {}

  void write(const Value& v, Int indent, Int allowance, int level) {
    rt_.meter.tick();
    rt_.meter.check_stack();
    const Value sorted_value = sorted(v);
    Buffer& repr = rt_.make_buffer();
    append_repr(rt_, repr, sorted_value);
    if (static_cast<Int>(repr.str().length()) <= kPageWidth - indent - allowance) return out_.append(repr.str());
    switch (v.kind) {
      case Kind::kDict:
        return dict(*sorted_value.dict, indent, allowance + 1, level + 1);
      case Kind::kList:
        plain("[");
        items(v.list->items, indent, allowance + 1, level + 1);
        return plain("]");
      case Kind::kTuple: {
        const std::string_view end = v.list->items.size() == 1 ? ",)" : ")";
        plain("(");
        items(v.list->items, indent, allowance + static_cast<Int>(end.size()), level + 1);
        return plain(end);
      }
      case Kind::kStr:
        if (!v.markup) return string(v.s, indent, allowance, level + 1);
        [[fallthrough]];
      default:
        out_.append(repr.str());
    }
  }

 private:
  void plain(std::string_view text) { out_.append(text, false); }
  void new_line(Int indent) {
    plain("\n");
    out_.fill(" ", static_cast<uint64_t>(indent), false);
  }

  // Dicts in order of their keys, at every depth.
  Value sorted(const Value& v) {
    rt_.meter.check_stack();
    if (v.is(Kind::kList) || v.is(Kind::kTuple)) {
      std::vector<Value> all;
      for (const Value& item : v.list->items) all.push_back(sorted(item));
      return v.is(Kind::kList) ? rt_.list(std::move(all)) : rt_.tuple(std::move(all));
    }
    if (!v.is(Kind::kDict)) return v;
    auto entries = v.dict->items;
    std::stable_sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) {
      const bool comparable = a.first.kind == b.first.kind || (a.first.is_number() && b.first.is_number());
      if (!comparable) return std::string_view(type_name(a.first)) < type_name(b.first);
      return !a.first.is(Kind::kNone) && in_order(rt_, a.first, Order::kLess, b.first);
    });
    auto* d = rt_.make<DictObj>();
    for (const auto& [key, value] : entries) d->set(rt_, key, sorted(value));
    return Value::of(d);
  }

  Str repr_of(const Value& v) {
    Buffer& b = rt_.make_buffer();
    append_repr(rt_, b, v);
    return b.str();
  }

  void dict(const DictObj& d, Int indent, Int allowance, int level) {
    plain("{");
    ++indent;
    for (size_t i = 0; i < d.items.size(); ++i) {
      const bool last = i + 1 == d.items.size();
      const Str key = repr_of(d.items[i].first);
      out_.append(key);
      plain(": ");
      write(d.items[i].second, indent + static_cast<Int>(key.length()) + 2, last ? allowance : 1, level);
      if (last) break;
      plain(",");
      new_line(indent);
    }
    plain("}");
  }

  void items(const std::vector<Value>& all, Int indent, Int allowance, int level) {
    ++indent;
    for (size_t i = 0; i < all.size(); ++i) {
      if (i > 0) {
        plain(",");
        new_line(indent);
      }
      write(all[i], indent, i + 1 == all.size() ? allowance : 1, level);
    }
  }

  void string(const Str& s, Int indent, Int allowance, int level) {
    if (level == 1) {
      ++indent;
      ++allowance;
    }
    std::vector<Str> chunks;
    const Int width = kPageWidth - indent;
    const std::vector<Str> lines = split_lines(rt_, s, true);
    for (size_t i = 0; i < lines.size(); ++i) {
      const bool last_line = i + 1 == lines.size();
      const Str whole = repr_of(Value::of(lines[i]));
      if (static_cast<Int>(whole.length()) <= (last_line ? width - allowance : width)) {
        chunks.push_back(whole);
        continue;
      }
      Str current = lines[i].slice(0, 0);
      const std::vector<Str> parts = words(lines[i]);
      for (size_t j = 0; j < parts.size(); ++j) {
        const Str candidate{current.buffer, current.begin, parts[j].end};
        const bool last = last_line && j + 1 == parts.size();
        if (static_cast<Int>(repr_of(Value::of(candidate)).length()) <= (last ? width - allowance : width)) {
          current = candidate;
          continue;
        }
        if (!current.empty()) chunks.push_back(repr_of(Value::of(current)));
        current = parts[j];
      }
      if (!current.empty()) chunks.push_back(repr_of(Value::of(current)));
    }
    const bool parentheses = level == 1 && chunks.size() > 1;
    if (parentheses) plain("(");
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (i > 0) new_line(indent);
      out_.append(chunks[i]);
    }
    if (parentheses) plain(")");
  }

  static std::vector<Str> words(const Str& line) {  // each with the white space after it
    std::vector<Str> parts;
    size_t begin = 0;
    bool in_space = false;
    for (CharReader r(line); r.next();) {
      const bool space = is_space(r.c());
      if (in_space && !space) {
        parts.push_back(line.slice(begin, r.start()));
        begin = r.start();
      }
      in_space = space;
    }
    if (begin < line.size_bytes()) parts.push_back(line.slice(begin, line.size_bytes()));
    return parts;
  }

  Runtime& rt_;
  Buffer& out_;
};

}  // namespace

void append_pretty(Runtime& rt, Buffer& out, const Value& v) {
  Buffer& whole = rt.make_buffer();
  PrettyPrinter(rt, whole).write(v, 0, 0, 0);
  if (whole.str().has_content()) whole.mark_all(true);
  out.append(whole.str());
}

}  // namespace watra::text::jinja
