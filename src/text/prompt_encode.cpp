#include "text/prompt_encode.h"

namespace watra::text {

std::vector<TokenId> encode_spans(const Tokenizer& tokenizer, std::span<const PromptSpan> spans,
                                  const EncodeOptions& options) {
  std::string text;
  std::vector<ByteRange> plain;
  for (const PromptSpan& span : spans) {
    if (span.is_content && !span.text.empty()) plain.push_back({text.size(), text.size() + span.text.size()});
    text += span.text;
  }
  std::vector<TokenId> ids = tokenizer.encode(text, plain, options);
  const TokenId bos = tokenizer.spec().bos;
  if (options.add_special && ids.size() >= 2 && bos != kNoToken && ids[0] == bos && ids[1] == bos)
    ids.erase(ids.begin());
  return ids;
}

}  // namespace watra::text
