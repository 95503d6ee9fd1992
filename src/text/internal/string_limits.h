// How long JSON strings may be, held beside XGrammar: it would make a state of its own for every character that a
// string may have, and looks at the whole vocabulary in each, which takes seconds for a hundred.
//
// A string of at most n characters becomes the pattern of any number of them, except of the characters from marker(n)
// to the end of Unicode: private ones that nobody writes. Whether a matcher would take a marker so tells in which
// string an answer stands: one that takes marker(n) may be longer than n. Of several at once (anyOf) the longest
// counts. A string of such a pattern has neither escapes nor quotation marks inside, so its length is what came since
// the last mark.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace watra::text {

constexpr int64_t kLeastCounted = 8;       // shorter limits are XGrammar's own: few states
constexpr int64_t kMostCounted = 131'000;  // markers there are

// The pattern of a string of `least` to `most` characters; kLeastCounted <= most <= kMostCounted.
std::string counted_string(int64_t least, int64_t most);
// Every `most` in a shape, upwards.
std::vector<int64_t> string_limits(const nlohmann::ordered_json& shape);

// What tokens add to the strings they stand in.
class StringPieces {
 public:
  explicit StringPieces(std::span<const std::string> pieces);
  // Clears the bits of tokens with more than `most` characters before their first quotation mark.
  void keep_short(std::span<uint32_t> bits, int64_t most) const { clear(bits, leading_, most); }
  // And of those that have more than `most` behind one.
  void keep_short_begun(std::span<uint32_t> bits, int64_t most) const { clear(bits, begun_, most); }

 private:
  struct Entry {
    int32_t n_chars;
    TokenId token;
  };
  static void clear(std::span<uint32_t> bits, const std::vector<Entry>& entries, int64_t most);
  std::vector<Entry> leading_, begun_;  // the longest first; of begun_ those that begin a string
};

// Where an answer stands. A value: kept for every token, so that tokens can be taken back.
class StringPlace {
 public:
  // Would the grammar take this text next?
  using Takes = std::function<bool(const std::string&)>;

  void read(std::string_view bytes);
  // Bits that are set stay so where the token may come. `limits` are the grammar's, at least one.
  void hold(std::span<uint32_t> bits, const StringPieces& pieces, std::span<const int64_t> limits, const Takes& takes);
  // Whether a token of these bytes may come, if it begins no string.
  bool has_room(std::string_view bytes, std::span<const int64_t> limits, const Takes& takes);

 private:
  static constexpr int64_t kUnknown = -1, kNone = -2;
  int64_t room(std::span<const int64_t> limits, const Takes& takes);  // further characters; kNone: as many as may be
  int64_t n_chars_ = 0;                                               // since the last quotation mark
  int64_t limit_ = kUnknown;                                          // of the string
  int64_t n_missing_ = 0;    // bytes of the last character that are still to come
  bool is_outside_ = false;  // of strings, behind the last token
};

}  // namespace watra::text
