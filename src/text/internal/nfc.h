// Unicode normalization of text: NFC for the families whose tokenizer asks for it, NFD for BERT's accent stripping.
//
// Character properties come from utf8proc; reordering is ours, because utf8proc sorts marks by insertion and a megabyte
// of marks would take hours. Linear (n log n in a run of marks).
#pragma once

#include <string>
#include <string_view>

namespace watra::text {

// `text` is valid UTF-8. Returns `text` itself when it is NFC already, else the normalized text, kept in `storage`.
std::string_view to_nfc(std::string_view text, std::string& storage);

std::string to_nfd(std::string_view text);

}  // namespace watra::text
