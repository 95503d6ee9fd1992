// Pretokenizer: cuts a text into the pieces that byte-level BPE merges within, as the split patterns of a family
// (`tokenizer.ggml.pre`) say.
//
// The frequent patterns are scanned by hand (internal/scan.h), the rest run through PCRE2 (internal/split_regex.h). A
// family is a list of stages; each stage cuts the pieces of the one before, and sees each piece as a text of its own.
// Immutable; any thread. Linear in the length of the text.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace watra::text {

// What a family's name settles besides its patterns, where the file does not say so itself.
struct PreFamily {
  std::string_view name;
  bool nfc;            // the text is brought into NFC first
  bool ignore_merges;  // a piece that is a whole token is taken as it is
  bool add_bos;        // default of tokenizer.ggml.add_bos_token
};

// Null if no family has this name. "" is the family "default".
const PreFamily* find_pre_family(std::string_view name);

class SplitRegex;

class Pretokenizer {
 public:
  // Errors: "text.unknown_pre_tokenizer".
  static Result<Pretokenizer> create(std::string_view name);
  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;
  ~Pretokenizer();

  const PreFamily& family() const { return *family_; }

  // The ends of the pieces of `text` (valid UTF-8), in order; the last is text.size(). Pieces may end inside a
  // character (Falcon cuts between bytes).
  void split(std::string_view text, std::vector<size_t>& ends) const;

 private:
  Pretokenizer();
  using Scan = size_t (*)(std::string_view text, size_t from);
  struct Stage {
    Scan scan = nullptr;  // or, if null:
    std::unique_ptr<const SplitRegex> regex;
  };
  void split_stage(size_t stage, std::string_view text, size_t offset, std::vector<size_t>& ends) const;

  const PreFamily* family_ = nullptr;
  std::vector<Stage> stages_;
};

}  // namespace watra::text
