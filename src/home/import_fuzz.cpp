// Any bytes as an export of some program: they are read or refused, and what is told of them has the shape that the
// importer relies on.
#include <cstdint>
#include <cstdlib>

#include "home/import_formats.h"

namespace watra::home {
namespace {

void check(const ImportedThread& thread) {
  for (const ImportedMessage& m : thread.messages) {
    if (m.external.empty() || !m.parts.is_array()) std::abort();
    if (m.state != "done" && m.state != "stopped" && m.state != "interrupted" && m.state != "failed") std::abort();
    for (const Json& part : m.parts) {
      if (!part.is_object() || !part.contains("type")) std::abort();
      if (part["type"] == "text" && !part["text"].is_string()) std::abort();
      if (part.contains("hash") && !part["hash"].is_string()) std::abort();
    }
    if (m.facts.is_object() && !m.facts.at("context").contains("sees_from")) std::abort();
    dump(m.parts);
    dump(m.facts);
  }
  dump(thread.tags);
}

}  // namespace
}  // namespace watra::home

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace watra::home;
  const ImportSink sink{.thread = [](ImportedThread t) { check(t); },
                        .problem = [](const std::string&, const std::string&) {},
                        .file = [](const ImportedFile&) {},
                        .kept = [](std::string_view, const Json& list) { dump(list); }};
  try {
    read_import(std::string_view(reinterpret_cast<const char*>(data), size), sink);
  } catch (const Failure& f) {
    if (!f.error.code.starts_with("import.")) std::abort();
  }
  return 0;
}
