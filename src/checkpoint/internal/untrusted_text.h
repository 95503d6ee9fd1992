// Text that comes out of a file: how it is judged and how it is shown in a message.
#pragma once

#include <string>
#include <string_view>

namespace watra::checkpoint {

bool is_utf8(std::string_view s);  // no overlong forms, no surrogates, nothing above U+10FFFF

// A key or a tensor's name: not empty, valid UTF-8, no control characters.
bool is_printable_name(std::string_view s);

// 'blk.0.attn_q.weight' with unprintable bytes as \xNN, cut after `max` bytes: safe to print whatever the file says.
std::string shown(std::string_view s, size_t max = 64);

}  // namespace watra::checkpoint
