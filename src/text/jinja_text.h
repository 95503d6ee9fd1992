// Text with provenance: UTF-8 bytes of which every run knows whether the template or the content wrote it.
//
// A Buffer owns bytes and runs; a Str is a slice of one, so trimming, slicing and splitting copy nothing. Appending to
// a Str that ends where its Buffer ends extends the Buffer in place: text built piece by piece costs its length, not
// its square. A Meter counts the work and the memory of one render and throws Refusal when a limit is reached.
// Exceptions stay inside this folder's interpreter (jinja_*): ChatTemplate turns them into Results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace watra::text::jinja {

// Thrown by everything in the interpreter; code is one of the "template.*" codes of chat_template.h.
struct Refusal {
  std::string code;
  std::string message;
  int line = 0;  // 0 = not known yet
};
[[noreturn]] void refuse_type(std::string message);
[[noreturn]] void refuse_undefined(std::string message);
[[noreturn]] void refuse_limit(std::string message);

// One per render. Not for several threads.
class Meter {
 public:
  uint64_t max_steps = UINT64_MAX;
  uint64_t max_memory_bytes = UINT64_MAX;
  uint64_t max_output_bytes = UINT64_MAX;
  uint32_t max_depth = 200;

  void tick(uint64_t n = 1) {
    steps_ += n;
    if (steps_ > max_steps) over_steps();
  }
  // Throws before the memory is taken. Everything counts until the render ends: nothing is given back.
  void take(uint64_t bytes) {
    if (bytes > max_memory_bytes - memory_) over_memory(bytes);
    memory_ += bytes;
  }
  // A recursion that must end before the thread's stack does; also bounds work that is invisible to `depth`.
  void check_stack() const;
  void start_stack() { stack_base_ = static_cast<const char*>(__builtin_frame_address(0)); }

 private:
  [[noreturn]] void over_steps() const;
  [[noreturn]] void over_memory(uint64_t bytes) const;
  uint64_t steps_ = 0, memory_ = 0;
  const char* stack_base_ = nullptr;
};

struct Run {
  uint32_t end;  // one past the run's last byte
  bool content;
};

class Buffer;

// A slice of a Buffer that outlives it (all Buffers of a render live until it ends).
struct Str {
  Buffer* buffer;
  uint32_t begin, end;

  std::string_view view() const;
  uint32_t size_bytes() const { return end - begin; }
  bool empty() const { return begin == end; }
  Str slice(size_t from, size_t to) const {  // byte positions inside this slice
    return {buffer, begin + static_cast<uint32_t>(from), begin + static_cast<uint32_t>(to)};
  }
  bool is_ascii() const;
  uint64_t length() const;  // characters
  bool has_content() const;
  bool content_at(size_t byte) const;
  // Byte position of character `index` (<= length()).
  size_t byte_of(uint64_t index) const;
};

class Buffer {
 public:
  explicit Buffer(Meter* meter) : meter_(meter) {}

  void append(std::string_view bytes, bool content);
  void append(const Str& text);  // text may be a slice of this Buffer
  void append_char(char32_t c, bool content);
  void fill(std::string_view bytes, uint64_t times, bool content);  // checks the limit first
  void mark_all(bool content);                                      // one run over everything
  void seal() { sealed_ = true; }                                   // never extended in place
  bool sealed() const { return sealed_; }

  Str str() { return {this, 0, static_cast<uint32_t>(bytes_.size())}; }
  size_t size() const { return bytes_.size(); }
  bool is_ascii() const { return ascii_; }
  const std::string& bytes() const { return bytes_; }
  const std::vector<Run>& runs() const { return runs_; }
  std::vector<Run>::const_iterator run_at(uint32_t byte) const;

 private:
  void grow(uint64_t by);
  void add_run(uint32_t end, bool content);

  Meter* meter_;
  std::string bytes_;
  std::vector<Run> runs_;
  bool ascii_ = true;
  bool sealed_ = false;
};

inline std::string_view Str::view() const { return std::string_view(buffer->bytes()).substr(begin, end - begin); }
inline bool Str::is_ascii() const { return buffer->is_ascii(); }

// One character of UTF-8 at `pos`; advances pos. Bytes that are no UTF-8 come out one by one as 0xDC00 + byte.
char32_t decode_utf8(std::string_view text, size_t& pos);
void encode_utf8(std::string& out, char32_t c);
bool is_valid_utf8(std::string_view text);
uint64_t count_chars(std::string_view text);

// Walks the characters of a Str with their provenance.
class CharReader {
 public:
  explicit CharReader(const Str& text) : text_(text.view()), base_(text.begin), run_(text.buffer->run_at(text.begin)) {}
  bool next() {
    if (pos_ >= text_.size()) return false;
    start_ = pos_;
    while (run_->end <= base_ + pos_) ++run_;
    c_ = decode_utf8(text_, pos_);
    return true;
  }
  char32_t c() const { return c_; }
  size_t start() const { return start_; }  // byte positions of the current character
  size_t end() const { return pos_; }
  std::string_view bytes() const { return text_.substr(start_, pos_ - start_); }
  bool content() const { return run_->content; }

 private:
  std::string_view text_;
  uint32_t base_;
  std::vector<Run>::const_iterator run_;
  size_t pos_ = 0, start_ = 0;
  char32_t c_ = 0;
};

}  // namespace watra::text::jinja
