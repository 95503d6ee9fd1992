// Conversations as clients write them -> the list of messages chat templates read: roles known, contents plain texts,
// tool arguments objects.
#pragma once

#include "server/fields.h"

namespace watra::server {

// OpenAI's `messages`. Throws ApiError naming the place: "messages[2].role".
Json read_messages(const Fields& fields);

// system, developer, user, assistant, tool or function.
bool is_known_role(const std::string& role);

// Text of a content that is a text, or a list of parts of type text (also input_text, output_text); refused: images
// and other parts, by place.
std::string read_content(const Json& content, const std::string& place);

// One part of it, which stands at `place`.
std::string read_part(const Json& part, const std::string& place);

// Arguments of a call, as a model wrote them; nothing where they are no JSON (an answer that was cut off), or nest
// deeper than a client's may (64 levels).
std::optional<Json> read_written_arguments(const std::string& text);

}  // namespace watra::server
