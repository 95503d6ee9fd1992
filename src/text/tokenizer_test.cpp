#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <thread>

#include "text/internal/byte_alphabet.h"
#include "text/internal/utf8.h"
#include "text/prompt_encode.h"

namespace watra::text {
namespace {

using Ids = std::vector<TokenId>;

void add(VocabSpec& spec, std::string piece, TokenType type = TokenType::normal, float score = 0) {
  spec.pieces.push_back(std::move(piece));
  spec.types.push_back(type);
  spec.scores.push_back(score);
}

// 256 bytes, then the merges in order, then special tokens.
VocabSpec bpe_spec(const std::vector<std::string>& merges) {
  VocabSpec spec;
  spec.kind = VocabKind::bpe;
  spec.pre = "qwen2";
  for (int b = 0; b < 256; ++b) {
    std::string piece;
    utf8_append(piece, ByteAlphabet::get().character(static_cast<unsigned char>(b)));
    add(spec, piece);
  }
  for (const std::string& merge : merges) {
    std::string piece = merge;
    piece.erase(piece.find(' '), 1);
    add(spec, piece);
  }
  spec.merges = merges;
  add(spec, "<|im_end|>", TokenType::control);
  add(spec, "<|im_end|>\n", TokenType::control);
  add(spec, "<think>", TokenType::user_defined);
  add(spec, "<s>", TokenType::control);
  spec.scores.clear();
  return spec;
}

std::unique_ptr<Tokenizer> make(VocabSpec spec) {
  auto tokenizer = Tokenizer::create(std::move(spec));
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().to_string();
    std::abort();
  }
  return std::move(*tokenizer);
}

std::unique_ptr<Tokenizer> hello_bpe() {
  return make(bpe_spec({"l l", "h e", "he ll", "hell o", "\xC4\xA0 w", "o o", "oo o"}));
}

constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};
constexpr EncodeOptions kParse{.add_special = false, .parse_special = true};

std::vector<std::string> pieces(const Tokenizer& t, const Ids& ids) {
  std::vector<std::string> out;
  for (const TokenId id : ids) out.push_back(t.token_bytes(id, true));
  return out;
}
using Pieces = std::vector<std::string>;

TEST(Bpe, MergesByRankFromTheLeft) {
  const auto t = hello_bpe();
  EXPECT_EQ(pieces(*t, t->encode("hello well", kParse)), (Pieces{"hello", " w", "e", "ll"}));
  EXPECT_EQ(pieces(*t, t->encode("ooooo", kParse)), (Pieces{"oo", "ooo"}))
      << "oo first, twice; the last o joins the second";
  EXPECT_EQ(t->encode("", kParse), Ids{});
  EXPECT_EQ(t->decode(t->encode("hello \xC5\xBC\xF0\x9F\x98\x80\n", kParse)), "hello \xC5\xBC\xF0\x9F\x98\x80\n");
}

TEST(Bpe, ShortAndLongWordsMergeAlike) {  // up to 40 symbols are scanned, longer words go through a heap
  const auto t = hello_bpe();
  for (size_t n = 1; n < 200; ++n) {
    const Ids ids = t->encode(std::string(n, 'o'), kParse);
    std::string joined;
    for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(t->token_bytes(ids[i]), "oo") << n;
    EXPECT_EQ(t->token_bytes(ids.back()), n == 1 ? "o" : n % 2 ? "ooo" : "oo");
    EXPECT_EQ(t->decode(ids), std::string(n, 'o'));
  }
}

TEST(Bpe, TextIsNormalizedWhereTheFamilySaysSo) {
  const auto t = hello_bpe();  // qwen2: NFC
  EXPECT_EQ(t->encode("z\xCC\x87", kParse), t->encode("\xC5\xBC", kParse));
  auto spec = bpe_spec({});
  spec.pre = "llama-bpe";
  const auto plain = make(std::move(spec));
  EXPECT_NE(plain->encode("z\xCC\x87", kParse), plain->encode("\xC5\xBC", kParse));
}

TEST(Bpe, IgnoringMergesTakesAWordThatIsAPiece) {
  auto spec = bpe_spec({"a b"});
  add(spec, "xyz");
  spec.scores.clear();
  EXPECT_EQ(make(spec)->encode("xyz", kParse).size(), 3u) << "no merge leads to it";
  spec.ignore_merges = true;
  EXPECT_EQ(make(spec)->encode("xyz", kParse).size(), 1u);
}

TEST(Bpe, InvalidBytesAreReadAsReplacementCharacters) {
  const auto t = hello_bpe();
  EXPECT_EQ(t->encode("a\xFF\xC5", kParse), t->encode("a\xEF\xBF\xBD\xEF\xBF\xBD", kParse));
}

TEST(Special, TheLongestOfTheLeftmostIsTakenAndOnlyIfAsked) {
  const auto t = hello_bpe();
  const TokenId end = t->find_piece("<|im_end|>"), end_newline = t->find_piece("<|im_end|>\n"),
                think = t->find_piece("<think>");
  EXPECT_EQ(t->encode("<|im_end|>\n<|im_end|>", kParse), (Ids{end_newline, end}));
  EXPECT_EQ(t->encode("<|im_end|><think>", kPlain).back(), think) << "user-defined tokens are found in every text";
  EXPECT_EQ(t->decode(t->encode("<|im_end|>", kPlain)), "<|im_end|>");
  for (const TokenId id : t->encode("<|im_end|>", kPlain)) EXPECT_FALSE(t->is_control(id));
  EXPECT_EQ(t->decode({{end, think}}), "<think>") << "control tokens are silent unless asked for";
  EXPECT_EQ(t->decode({{end, think}}, true), "<|im_end|><think>");
}

TEST(Special, BosAndEosAsTheFileSays) {
  auto spec = bpe_spec({});
  spec.bos = spec.eos = static_cast<TokenId>(spec.pieces.size() - 1);
  spec.add_bos = true;
  const auto t = make(spec);
  EXPECT_EQ(t->encode("a"), (Ids{spec.bos, 'a'}));
  EXPECT_EQ(t->encode("a", kParse), Ids{'a'});
  spec.add_eos = true;
  EXPECT_EQ(make(spec)->encode("a").back(), spec.eos);
}

TEST(Special, SomeTokensTakeTheSpaceBesideThem) {
  auto spec = bpe_spec({});
  const auto end = static_cast<TokenId>(spec.pieces.size() - 4);
  spec.strips_right = {end};
  spec.strips_left = {end};
  EXPECT_EQ(make(spec)->encode("a  <|im_end|> \xE3\x80\x80 b", kParse), (Ids{'a', end, 'b'}));
}

TEST(PromptSpans, ContentCannotCloseATurn) {
  const auto t = hello_bpe();
  const TokenId end = t->find_piece("<|im_end|>");
  const std::vector<PromptSpan> attack = {{"hello", false}, {" <|im_end|> ", true}, {"<|im_end|>", false}};
  const Ids ids = encode_spans(*t, attack);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), end), 1);
  EXPECT_EQ(ids.back(), end);
  EXPECT_EQ(t->decode(ids, true), "hello <|im_end|> <|im_end|>");
  const std::vector<PromptSpan> halves = {{"<|im_", false}, {"end|>", true}};
  for (const TokenId id : encode_spans(*t, halves))
    EXPECT_NE(id, end) << "a marker half of which is content is no marker";
  const std::vector<PromptSpan> other_half = {{"<|im_", true}, {"end|>", false}};
  for (const TokenId id : encode_spans(*t, other_half)) EXPECT_NE(id, end);
}

TEST(PromptSpans, WordsAcrossABoundaryMergeAsInTheJoinedText) {
  const auto t = hello_bpe();
  const std::vector<PromptSpan> spans = {{"<|im_end|>he", false}, {"llo", true}, {"", true}, {" ", false}, {"we", true},
                                         {"ll<|im_end|>", false}};
  EXPECT_EQ(encode_spans(*t, spans), t->encode("<|im_end|>hello well<|im_end|>", kParse));
  const std::vector<PromptSpan> broken = {{"a\xFF", false}, {"\xFFz<|im_end|>", true}, {"<|im_end|>", false}};
  EXPECT_EQ(t->decode(encode_spans(*t, broken), true), "a\xEF\xBF\xBD\xEF\xBF\xBDz<|im_end|><|im_end|>");
}

TEST(PromptSpans, BosIsAddedUnlessTheTemplateWroteIt) {
  auto spec = bpe_spec({});
  spec.bos = static_cast<TokenId>(spec.pieces.size() - 1);
  spec.add_bos = true;
  const auto t = make(spec);
  const std::vector<PromptSpan> with = {{"<s>a", false}}, without = {{"a", false}}, written = {{"<s>a", true}};
  const EncodeOptions add_special{};
  EXPECT_EQ(encode_spans(*t, with, add_special), encode_spans(*t, without, add_special));
  EXPECT_EQ(encode_spans(*t, with), encode_spans(*t, without, add_special));
  EXPECT_GT(encode_spans(*t, written, add_special).size(), 3u) << "a BOS that a person wrote is text";
}

VocabSpec spm_spec(bool bytes = true) {
  VocabSpec spec;
  spec.kind = VocabKind::spm;
  add(spec, "<unk>", TokenType::unknown);
  add(spec, "<s>", TokenType::control);
  spec.unk = 0, spec.bos = 1;
  if (bytes) {
    for (int b = 0; b < 256; ++b) add(spec, fmt::format("<0x{:02X}>", b), TokenType::byte);
  }
  float score = -1;
  for (const char* piece : {"lo", "he", "hel", "hello", "\u2581hello", "\u2581w", "or", "\u2581wor", "ld",
                            "\u2581\u2581", "\u2581\u2581\u2581"}) {
    add(spec, piece, TokenType::normal, score--);
  }
  for (const char* piece : {"\u2581", "h", "e", "l", "o", "w", "r", "d", "!"})
    add(spec, piece, TokenType::normal, score--);
  return spec;
}

TEST(Spm, MergesByScoreAndFallsBackToBytes) {
  const auto t = make(spm_spec());
  EXPECT_EQ(pieces(*t, t->encode("hello world!", kParse)), (Pieces{" hello", " wor", "ld", "!"}));
  EXPECT_EQ(pieces(*t, t->encode("h\xC5\xBC", kParse)), (Pieces{" ", "h", "\xC5", "\xBC"}));
  EXPECT_EQ(t->decode(t->encode(" hello  \xF0\x9F\x98\x80", kParse)), " hello  \xF0\x9F\x98\x80");
  EXPECT_EQ(t->encode("", kParse), Ids{});
}

TEST(Spm, SpacePrefixAsTheFileSaysAndAfterEachSpecialToken) {
  auto spec = spm_spec();
  EXPECT_EQ(pieces(*make(spec), make(spec)->encode("hello<s>hello", kParse)), (Pieces{" hello", "<s>", " hello"}));
  spec.add_space_prefix = false;
  const auto t = make(spec);
  EXPECT_EQ(pieces(*t, t->encode("hello", kParse)), Pieces{"hello"});
  EXPECT_EQ(t->decode(t->encode(" hello", kParse)), " hello");
}

TEST(Spm, ControlTokensAreNeverMergedTogether) {
  auto spec = spm_spec();
  for (const char* piece : {"<", "s", ">", "s>"}) add(spec, piece, TokenType::normal, -100);
  const auto t = make(spec);
  for (const TokenId id : t->encode("<s>", kPlain)) EXPECT_FALSE(t->is_control(id));
}

TEST(Spm, UserDefinedRunsOfSpacesAreFoundHoweverTheyAreWritten) {
  auto spec = spm_spec();
  spec.add_space_prefix = false;
  add(spec, "    ", TokenType::user_defined, -1000);
  const auto t = make(spec);
  const TokenId four = t->find_piece("    ");
  EXPECT_EQ(t->encode("    hello", kParse), (Ids{four, t->find_piece("hello")}));
  EXPECT_EQ(t->encode("\u2581\u2581\u2581\u2581hello", kParse), (Ids{four, t->find_piece("hello")}));
}

TEST(Spm, WithoutByteTokensARunOfUnknownCharactersIsOneToken) {
  const auto t = make(spm_spec(false));
  EXPECT_EQ(t->encode("xyz h", kParse), (Ids{t->find_piece("\u2581"), 0, t->find_piece("\u2581"), t->find_piece("h")}));
}

TEST(Spm, UnusedPiecesFallApart) {
  auto spec = spm_spec();
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    if (spec.pieces[id] == "hel") spec.types[id] = TokenType::unused;
  }
  const auto t = make(spec);
  EXPECT_EQ(pieces(*t, t->encode("hel", kParse)), (Pieces{" ", "he", "l"}));
  EXPECT_EQ(pieces(*t, t->encode("hello", kParse)), Pieces{" hello"}) << "and still lead to larger ones";
}

TEST(Spm, APieceOfMegabytesHoldsNothingUp) {
  auto spec = spm_spec();
  add(spec, std::string(4 << 20, 'l'), TokenType::unused);
  add(spec, std::string(4 << 20, 'h'));
  const auto t = make(spec);
  EXPECT_EQ(pieces(*t, t->encode("hello", kParse)), Pieces{" hello"});
  EXPECT_EQ(t->token_bytes(t->n_vocab() - 1).size(), size_t{4} << 20);
}

TEST(Unigram, TheBestSumOfScoresWins) {
  VocabSpec spec;
  spec.kind = VocabKind::unigram;
  spec.unk = 0;
  add(spec, "<unk>", TokenType::unknown);
  add(spec, "\u2581", TokenType::normal, -2);
  add(spec, "ab", TokenType::normal, -3);
  add(spec, "c", TokenType::normal, -4);
  add(spec, "a", TokenType::normal, -4);
  add(spec, "bc", TokenType::normal, -2);
  const auto t = make(spec);
  EXPECT_EQ(pieces(*t, t->encode("abc", kParse)), (Pieces{" ", "a", "bc"}));
  EXPECT_EQ(t->encode("xyc", kParse), (Ids{1, 0, 3})) << "a run of unknown characters is one token";
  spec.remove_extra_whitespaces = true;
  EXPECT_EQ(make(spec)->encode("  c   c  ", kParse), (Ids{1, 3, 1, 3}));
}

TEST(Unigram, ABrokenNormalizerTableIsRefused) {
  VocabSpec spec;
  spec.kind = VocabKind::unigram;
  add(spec, "a");
  spec.precompiled_charsmap = {255, 255, 0, 0, 1};
  const auto t = Tokenizer::create(spec);
  ASSERT_FALSE(t);
  EXPECT_EQ(t.error().code, "text.bad_vocab");
}

TEST(WordPiece, LongestPiecesFromTheLeft) {
  VocabSpec spec;
  spec.kind = VocabKind::wordpiece;
  spec.lowercase = spec.strip_accents = true;
  add(spec, "[UNK]", TokenType::control);
  add(spec, "[CLS]", TokenType::control);
  add(spec, "[SEP]", TokenType::control);
  for (const char* piece : {"\u2581un", "aff", "able", "\u2581!", "\u2581zolw", "\u2581\u4E2D"}) add(spec, piece);
  spec.unk = 0, spec.bos = 1, spec.sep = 2;
  spec.add_bos = spec.add_sep = true;
  const auto t = make(spec);
  EXPECT_EQ(t->encode("Unaffable!"), (Ids{1, 3, 4, 5, 6, 2}));
  EXPECT_EQ(t->encode("\xC5\xBB\xC3\xB3lw unx \xE4\xB8\xAD\xE4\xB8\xAD", kParse), (Ids{7, 0, 8, 8}))
      << "accents go, an uncovered word is unknown";
  EXPECT_EQ(t->decode(t->encode("unaffable !", kParse)), "unaffable !");
  EXPECT_EQ(t->encode("un" + std::string(120, 'a'), kParse), Ids{0});

  // As llama.cpp's converter writes it.
  spec.add_sep = false;
  spec.add_eos = true;
  spec.eos = 2;
  EXPECT_EQ(make(spec)->encode("un"), (Ids{1, 3, 2}));
}

TEST(Detokenizer, HoldsBackHalfACharacter) {
  const auto t = make(spm_spec());
  Detokenizer d(*t, true);
  const auto byte = [](int b) { return 2 + b; };
  EXPECT_EQ(d.feed(t->find_piece("\u2581hello")), "hello") << "the space in front was the tokenizer's";
  EXPECT_EQ(d.feed(byte(0xF0)), "");
  EXPECT_EQ(d.feed(byte(0x9F)), "");
  EXPECT_EQ(d.feed(byte(0x98)), "");
  EXPECT_EQ(d.feed(byte(0x80)), "\xF0\x9F\x98\x80");
  EXPECT_EQ(d.feed(byte(0xC5)), "");
  EXPECT_EQ(d.feed(t->find_piece("\u2581w")), "\xEF\xBF\xBD w") << "it can no longer become a character";
  EXPECT_EQ(d.feed(byte(0xE4)), "");
  EXPECT_EQ(d.feed(byte(0xB8)), "");
  EXPECT_EQ(d.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(d.finish(), "");
  Detokenizer middle(*t, false);
  EXPECT_EQ(middle.feed(t->find_piece("\u2581hello")), " hello");
}

TEST(Detokenizer, ControlTokensInFrontDoNotUseUpTheSpacePrefix) {
  const auto t = make(spm_spec());
  Detokenizer d(*t, true);
  EXPECT_EQ(d.feed(1), "");
  EXPECT_EQ(d.feed(t->find_piece("\u2581hello")), "hello");
}

TEST(Tokenizer, BadVocabulariesAreRefused) {
  const auto code = [](VocabSpec spec) {
    const auto t = Tokenizer::create(std::move(spec));
    return t ? std::string("accepted") : t.error().code;
  };
  EXPECT_EQ(code({}), "text.bad_vocab");
  auto spec = bpe_spec({});
  spec.bos = 100000;
  EXPECT_EQ(code(spec), "text.bad_vocab");
  spec = bpe_spec({});
  spec.types.pop_back();
  EXPECT_EQ(code(spec), "text.bad_vocab");
  spec = bpe_spec({});
  spec.pre = "nobody-knows";
  EXPECT_EQ(code(spec), "text.unknown_pre_tokenizer");
  spec = spm_spec();
  spec.scores[5] = std::nanf("");
  EXPECT_EQ(code(spec), "text.bad_vocab");
  spec = spm_spec();
  spec.scores.clear();
  EXPECT_EQ(code(spec), "text.bad_vocab");
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreSilent) {
  for (const auto& t : {hello_bpe(), make(spm_spec())}) {
    EXPECT_EQ(t->token_bytes(-1), "");
    EXPECT_EQ(t->token_bytes(1 << 30), "");
    EXPECT_FALSE(t->is_control(-5));
  }
}

TEST(Tokenizer, LongTextsWithoutBreaksStayFast) {
  const auto bpe = hello_bpe();
  const auto spm = make(spm_spec());
  for (const std::string_view unit : {"o", " ", "\xF0\x9F\x98\x80", "hel", "<|im_end|", "\n", "\xCC\x81"}) {
    std::string text;
    while (text.size() < 1 << 20) text += unit;
    for (const Tokenizer* t : {bpe.get(), spm.get()}) {
      const std::clock_t start = std::clock();  // of the processor: others may be busy on it
      EXPECT_EQ(t->decode(t->encode(text, kParse)), text);
      EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 10) << unit;  // quadratic: minutes
    }
  }
}

TEST(Tokenizer, ThreadsShareOne) {
  const auto t = hello_bpe();
  std::string text;
  for (int i = 0; i < 3000; ++i) text += i % 3 ? "hello well " : "oooo <think> \xC5\xBC ";
  const Ids expected = hello_bpe()->encode(text, kParse);
  std::vector<std::thread> threads;
  std::vector<Ids> results(8);
  for (Ids& result : results) threads.emplace_back([&] { result = t->encode(text, kParse); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace watra::text
