// encode_spans: the ids of a rendered prompt. Control tokens count only where they lie wholly inside spans the template
// wrote; what the person, a tool or the model wrote is plain text, so nobody can close a turn by writing its marker.
//
// Apart from that the spans are one text: words and runs of spaces that cross from one span into the next merge as they
// would in the joined prompt.
#pragma once

#include <span>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace watra::text {

// With `options.add_special`, BOS is added unless the template has written it; with parse_special false everything is
// plain text.
std::vector<TokenId> encode_spans(const Tokenizer& tokenizer, std::span<const PromptSpan> spans,
                                  const EncodeOptions& options = {.add_special = false, .parse_special = true});

}  // namespace watra::text
