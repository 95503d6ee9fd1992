#include "text/pretokenizer.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "text/internal/scan.h"
#include "text/internal/split_regex.h"

namespace watra::text {
namespace {

// \s of the reference; PCRE2's own has U+180E besides.
#define S_ "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define SPACE_RUNS_ "[" S_ "]++(?![^" S_ "])|[" S_ "]+(?![^" S_ "])|[" S_ "]++"
#define CONTRACTION_ "(?i:'s|'t|'re|'ve|'m|'ll|'d)"

// One step of a family: a scanner, or a pattern for PCRE2.
struct StageRule {
  size_t (*scan)(std::string_view, size_t);
  const char* pattern = nullptr;
};

constexpr const char* kCjk = "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+";

// DeepSeek's first models: alphabets with case, spelled out; then ASCII, full-width and CJK punctuation; then CJK and
// Hangul.
constexpr const char* kDeepSeekLetters =
    "[" S_
    "]?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}"
    "\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}"
    "\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}"
    "\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}"
    "\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}"
    "\\x{1F5D}"
    "\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}"
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}"
    "\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}"
    "\\x{2139}"
    "\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}"
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}"
    "\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}"
    "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}"
    "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+";
constexpr const char* kDeepSeekPunctuation =
    "[" S_ "]?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+";
constexpr const char* kDeepSeekCjk = "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+";

constexpr const char* kDeepSeekV3 =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\\r\\n]*|"
    "[" S_ "]*[\\r\\n]+|" SPACE_RUNS_;

constexpr const char* kBloom = " ?[^(" S_ "|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+";

constexpr const char* kExaoneMoe =
    CONTRACTION_ "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?[^" S_
                 "\\p{L}\\p{N}]+[\\r\\n/]?|"
                 "[" S_ "]*[\\r\\n]|" SPACE_RUNS_;

constexpr const char* kJais2 =
    CONTRACTION_ "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^" S_ "\\p{L}\\p{N}]+[\\r\\n]*|[" S_
                 "]*[\\r\\n]+|"
                 "[" S_ "]{512}(?![^" S_ "])|[" S_ "]{256}(?![^" S_ "])|[" S_ "]{128}(?![^" S_ "])|[" S_ "]{64}(?![^" S_
                 "])|"
                 "[" S_ "]{32}(?![^" S_ "])|[" S_ "]{16}(?![^" S_ "])|[" S_ "]{8}(?![^" S_ "])|[" S_ "]{4}(?![^" S_
                 "])|"
                 "[" S_ "]{1,2}(?![^" S_ "])|[" S_ "]";

#undef CONTRACTION_
#undef SPACE_RUNS_
#undef S_

constexpr StageRule kGpt2[] = {{scan::gpt2}};
constexpr StageRule kGpt2SingleDigits[] = {{scan::gpt2_single_digits}};
constexpr StageRule kLlama3[] = {{scan::llama3}};
constexpr StageRule kQwen2[] = {{scan::qwen2}};
constexpr StageRule kQwen35[] = {{scan::qwen35}};
constexpr StageRule kNoContractions[] = {{scan::no_contractions}};
constexpr StageRule kSeedCoder[] = {{scan::seed_coder}};
constexpr StageRule kMiniCpm5[] = {{scan::up_to_three_numbers}, {scan::number_runs}};
constexpr StageRule kLaguna[] = {{scan::newline_runs}, {scan::qwen2}};
constexpr StageRule kGpt4o[] = {{scan::gpt4o}};
constexpr StageRule kTekken[] = {{scan::tekken}};
constexpr StageRule kTinyAya[] = {{scan::digit_groups}, {scan::gpt4o}};
constexpr StageRule kFalcon[] = {{scan::punctuation_runs}, {scan::gpt2}, {scan::byte_digits}, {scan::three_digits}};
constexpr StageRule kDefault[] = {{scan::default_punctuation}, {scan::gpt2}, {scan::numbers}, {scan::three_digits}};
constexpr StageRule kDeepSeekLlm[] = {
    {scan::newlines},       {nullptr, kDeepSeekLetters}, {nullptr, kDeepSeekPunctuation},
    {scan::trailing_space}, {nullptr, kDeepSeekCjk},     {scan::single_digits}};
constexpr StageRule kDeepSeekCoder[] = {
    {scan::newlines},
    {nullptr,
     "[\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
     "\\x{205F}\\x{3000}]?\\p{L}+"},
    {nullptr,
     "[\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
     "\\x{205F}\\x{3000}]?\\p{P}+"},
    {nullptr, kDeepSeekCjk},
    {scan::single_digits}};
constexpr StageRule kDeepSeek3[] = {{scan::up_to_three_numbers}, {nullptr, kCjk}, {nullptr, kDeepSeekV3}};
constexpr StageRule kBloomStages[] = {{nullptr, kBloom}};
constexpr StageRule kViking[] = {{nullptr, kBloom}, {scan::single_digits}};
constexpr StageRule kExaoneMoeStages[] = {{nullptr, kExaoneMoe}};
constexpr StageRule kJais2Stages[] = {{nullptr, kJais2}};

struct Family {
  PreFamily info;  // name, nfc, ignore_merges, add_bos
  std::span<const StageRule> stages;
};

// By the names of tokenizer.ggml.pre. A name that is not here is an error: other patterns would give ids the model has
// never seen.
const Family kFamilies[] = {
    {{"default", false, false, false}, kDefault},
    {{"gpt-2", false, false, false}, kGpt2},
    {{"phi-2", false, false, false}, kGpt2},
    {{"jina-es", false, false, false}, kGpt2},
    {{"jina-de", false, false, false}, kGpt2},
    {{"jina-v1-en", false, false, false}, kGpt2},
    {{"jina-v2-es", false, false, false}, kGpt2},
    {{"jina-v2-de", false, false, false}, kGpt2},
    {{"jina-v2-code", false, false, false}, kGpt2},
    {{"roberta-bpe", false, false, false}, kGpt2},
    {{"modern-bert", true, false, false}, kGpt2},
    {{"gigachat", false, false, false}, kGpt2},
    {{"a.x-4.0", false, false, false}, kGpt2},
    {{"mellum", false, false, false}, kGpt2},
    {{"exaone4", false, false, false}, kGpt2},
    {{"jais", false, false, false}, kGpt2},
    {{"trillion", false, false, false}, kGpt2},
    {{"granite-docling", false, false, false}, kGpt2},
    {{"mpt", true, false, false}, kGpt2},
    {{"olmo", true, false, false}, kGpt2},
    {{"gpt-neox", true, false, false}, kGpt2},
    {{"starcoder", false, false, false}, kGpt2SingleDigits},
    {{"refact", false, false, false}, kGpt2SingleDigits},
    {{"smollm", false, false, false}, kGpt2SingleDigits},
    {{"codeshell", false, false, false}, kGpt2SingleDigits},
    {{"exaone", false, false, false}, kGpt2SingleDigits},
    {{"minerva-7b", false, false, false}, kGpt2SingleDigits},
    {{"mellum2", false, false, false}, kGpt2SingleDigits},
    {{"command-r", true, false, false}, kGpt2SingleDigits},
    {{"llama-bpe", false, true, true}, kLlama3},
    {{"llama3", false, true, true}, kLlama3},
    {{"llama-v3", false, true, true}, kLlama3},
    {{"falcon3", false, true, true}, kLlama3},
    {{"falcon-h1", false, true, true}, kLlama3},
    {{"pixtral", false, true, true}, kLlama3},
    {{"midm-2.0", false, true, true}, kLlama3},
    {{"lfm2", false, true, true}, kLlama3},
    {{"jina-v5-nano", false, true, true}, kLlama3},
    {{"dbrx", false, false, false}, kLlama3},
    {{"smaug-bpe", false, false, false}, kLlama3},
    {{"chatglm-bpe", false, false, false}, kLlama3},
    {{"glm4", false, true, false}, kLlama3},
    {{"glm5", false, true, false}, kLlama3},
    {{"qwen2", true, false, false}, kQwen2},
    {{"deepseek-r1-qwen", true, false, false}, kQwen2},
    {{"megrez", true, false, false}, kQwen2},
    {{"kormo", false, false, false}, kQwen2},
    {{"f2llmv2", true, false, false}, kQwen2},
    {{"stablelm2", true, false, false}, kQwen2},
    {{"hunyuan", false, false, false}, kQwen2},
    {{"solar-open", false, false, false}, kQwen2},
    {{"grok-2", false, false, false}, kQwen2},
    {{"bailingmoe", false, false, false}, kQwen2},
    {{"bailingmoe2", false, false, false}, kQwen2},
    {{"llada-moe", false, false, false}, kQwen2},
    {{"qwen35", true, false, false}, kQwen35},
    {{"ufakzeka", true, false, false}, kNoContractions},
    {{"seed-coder", false, false, false}, kSeedCoder},
    {{"minicpm5", false, true, false}, kMiniCpm5},
    {{"laguna", false, false, false}, kLaguna},
    {{"gpt-4o", false, false, false}, kGpt4o},
    {{"llama4", false, false, false}, kGpt4o},
    {{"kanana2", false, false, false}, kGpt4o},
    {{"talkie", false, false, false}, kGpt4o},
    {{"minimax-m2", false, false, false}, kGpt4o},
    {{"granite-embed-multi-97m", false, true, false}, kGpt4o},
    {{"tekken", false, true, true}, kTekken},
    {{"tiny_aya", false, false, false}, kTinyAya},
    {{"cohere2moe", false, false, false}, kTinyAya},
    {{"falcon", false, false, false}, kFalcon},
    {{"deepseek-llm", false, false, false}, kDeepSeekLlm},
    {{"deepseek-coder", false, false, false}, kDeepSeekCoder},
    {{"deepseek-v3", false, false, false}, kDeepSeek3},
    {{"hunyuan-dense", false, false, false}, kDeepSeek3},
    {{"joyai-llm", false, false, false}, kDeepSeek3},
    {{"hy_v4", false, false, false}, kDeepSeek3},
    {{"poro-chat", false, false, false}, kBloomStages},
    {{"bloom", false, false, false}, kBloomStages},
    {{"gpt3-finnish", false, false, false}, kBloomStages},
    {{"viking", false, false, false}, kViking},
    {{"exaone-moe", false, false, false}, kExaoneMoeStages},
    {{"jais-2", false, false, false}, kJais2Stages},
};

const Family* find_family(std::string_view name) {
  if (name.empty()) name = "default";
  const auto found =
      std::find_if(std::begin(kFamilies), std::end(kFamilies), [&](const Family& f) { return f.info.name == name; });
  return found == std::end(kFamilies) ? nullptr : &*found;
}

}  // namespace

const PreFamily* find_pre_family(std::string_view name) {
  const Family* const family = find_family(name);
  return family ? &family->info : nullptr;
}

Pretokenizer::Pretokenizer() = default;
Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer& Pretokenizer::operator=(Pretokenizer&&) noexcept = default;
Pretokenizer::~Pretokenizer() = default;

Result<Pretokenizer> Pretokenizer::create(std::string_view name) {
  const Family* const family = find_family(name);
  if (!family) {
    return fail("text.unknown_pre_tokenizer",
                fmt::format("the model's text is split by \"{}\" (tokenizer.ggml.pre), which is not known here", name),
                "a newer version may know it; a wrong guess would give ids the model was not trained on");
  }
  Pretokenizer result;
  result.family_ = &family->info;
  for (const StageRule& rule : family->stages) {
    Stage stage;
    stage.scan = rule.scan;
    if (rule.pattern) stage.regex = std::make_unique<const SplitRegex>(rule.pattern);
    result.stages_.push_back(std::move(stage));
  }
  return result;
}

void Pretokenizer::split(std::string_view text, std::vector<size_t>& ends) const {
  ends.clear();
  split_stage(0, text, 0, ends);
  std::vector<size_t> coarse;
  for (size_t stage = 1; stage < stages_.size(); ++stage) {
    coarse.swap(ends);
    ends.clear();
    size_t begin = 0;
    for (const size_t end : coarse) {
      split_stage(stage, text.substr(begin, end - begin), begin, ends);
      begin = end;
    }
  }
}

void Pretokenizer::split_stage(size_t stage, std::string_view text, size_t offset, std::vector<size_t>& ends) const {
  const Stage& rule = stages_[stage];
  if (!rule.scan) {
    rule.regex->split(text, offset, ends);
    return;
  }
  for (size_t at = 0; at < text.size();) {
    at = rule.scan(text, at);
    ends.push_back(offset + at);
  }
}

}  // namespace watra::text
