// tojson as transformers defines it: Python's json.dumps with ensure_ascii off. Output over content is content as a
// whole.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja_value.h"

namespace watra::text::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Runtime& rt, Buffer& out, const JsonStyle& style) : rt_(rt), out_(out), style_(style) {}

  void write(const Value& v) {
    rt_.meter.tick();
    switch (v.kind) {
      case Kind::kNone:
        return plain("null");
      case Kind::kBool:
        return plain(v.b ? "true" : "false");
      case Kind::kInt:
        return plain(int_text(v.as_int()));
      case Kind::kFloat:
        return plain(float_json(v.f));
      case Kind::kStr:
        return string(v.s);
      case Kind::kList:
      case Kind::kTuple:
        return array(v.list->items);
      case Kind::kDict:
        return object(*v.dict);
      default:
        refuse_type(fmt::format("Object of type {} is not JSON serializable", type_name(v)));
    }
  }

 private:
  void plain(std::string_view text) { out_.append(text, false); }

  static std::string float_json(double v) {
    if (std::isnan(v)) return "NaN";
    if (std::isinf(v)) return v < 0 ? "-Infinity" : "Infinity";
    return float_text(v);
  }

  void string(const Str& s) {
    plain("\"");
    // Whole stretches that need no escape go over in one piece.
    const std::string_view text = s.view();
    size_t kept = 0;
    const auto flush = [&](size_t to) {
      if (to > kept) out_.append(s.slice(kept, to));
    };
    for (size_t pos = 0; pos < text.size();) {
      const size_t start = pos;
      const auto byte = static_cast<unsigned char>(text[pos]);
      char32_t c = byte;
      if (byte < 0x80 || !style_.ensure_ascii) {
        ++pos;
      } else {
        c = decode_utf8(text, pos);
      }
      const bool escapes = c == '"' || c == '\\' || c < 0x20 || (style_.ensure_ascii && c > 0x7E);
      if (!escapes) continue;
      flush(start);
      out_.append(escaped(c), s.content_at(start));
      kept = pos;
    }
    flush(text.size());
    plain("\"");
  }

  static std::string escaped(char32_t c) {
    switch (c) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\f':
        return "\\f";
      case '\b':
        return "\\b";
      default:
        break;
    }
    const auto code = static_cast<uint32_t>(c);
    if (code < 0x10000) return fmt::format("\\u{:04x}", code);
    const uint32_t v = code - 0x10000;
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 | (v >> 10), 0xDC00 | (v & 0x3FF));
  }

  void separator() {
    if (style_.item_separator) {
      out_.append(*style_.item_separator);
    } else {
      plain(style_.indent ? "," : ", ");
    }
  }

  void new_line() {
    if (!style_.indent) return;
    plain("\n");
    for (uint32_t i = 0; i < level_; ++i) {
      rt_.meter.tick();
      out_.append(*style_.indent);
    }
  }

  template <class Each>
  void container(std::string_view open, std::string_view close, size_t n, Each&& each) {
    rt_.meter.check_stack();
    plain(open);
    if (n > 0) {
      ++level_;
      for (size_t i = 0; i < n; ++i) {
        if (i > 0) separator();
        new_line();
        each(i);
      }
      --level_;
      new_line();
    }
    plain(close);
  }

  void array(const std::vector<Value>& items) {
    container("[", "]", items.size(), [&](size_t i) { write(items[i]); });
  }

  void key(const Value& k) {
    switch (k.kind) {
      case Kind::kStr:
        return string(k.s);
      case Kind::kNone:
        return plain("\"null\"");
      case Kind::kBool:
        return plain(k.b ? "\"true\"" : "\"false\"");
      case Kind::kInt:
        return plain("\"" + int_text(k.as_int()) + "\"");
      case Kind::kFloat:
        return plain("\"" + float_json(k.f) + "\"");
      default:
        refuse_type(fmt::format("keys must be str, int, float, bool or None, not {}", type_name(k)));
    }
  }

  void object(const DictObj& dict) {
    std::vector<const std::pair<Value, Value>*> items;
    items.reserve(dict.items.size());
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(),
                       [&](const auto* a, const auto* b) { return in_order(rt_, a->first, Order::kLess, b->first); });
    }
    container("{", "}", items.size(), [&](size_t i) {
      key(items[i]->first);
      if (style_.key_separator) {
        out_.append(*style_.key_separator);
      } else {
        plain(": ");
      }
      write(items[i]->second);
    });
  }

  Runtime& rt_;
  Buffer& out_;
  const JsonStyle& style_;
  uint32_t level_ = 0;
};

}  // namespace

void append_json(Runtime& rt, Buffer& out, const Value& v, const JsonStyle& style) {
  Buffer whole(&rt.meter);
  JsonWriter(rt, whole, style).write(v);
  if (whole.str().has_content()) whole.mark_all(true);
  out.append(whole.str());
}

}  // namespace watra::text::jinja
