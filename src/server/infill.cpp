#include "server/infill.h"

#include <fmt/format.h>

namespace watra::server {

bool can_fill_in(const text::VocabSpec& vocab) {
  return vocab.fim_prefix >= 0 && vocab.fim_suffix >= 0 && vocab.fim_middle >= 0;
}

std::vector<TokenId> infill_prompt(const Infill& infill, const ServedModel& model, const std::string& field,
                                   int status) {
  if (!can_fill_in(model.tokenizer().spec()))
    throw ApiError{.status = status,
                   .code = "no_infill",
                   .message = fmt::format("{}: {} does not support insert: its vocabulary has no fill-in tokens; a "
                                          "coding model has them",
                                          field, model.id()),
                   .param = field};
  const auto& spec = model.tokenizer().spec();
  std::vector<TokenId> out;
  const auto add = [&](const std::string& text) {
    const auto ids = model.encode(text, false, false);
    out.insert(out.end(), ids.begin(), ids.end());
  };
  if (spec.add_bos && spec.bos >= 0) out.push_back(spec.bos);
  for (const Infill::File& file : infill.files) add(file.name + "\n" + file.text + "\n");
  out.push_back(spec.fim_prefix);
  add(infill.prefix);
  out.push_back(spec.fim_suffix);
  add(infill.suffix);
  out.push_back(spec.fim_middle);
  add(infill.begun);
  return out;
}

}  // namespace watra::server
