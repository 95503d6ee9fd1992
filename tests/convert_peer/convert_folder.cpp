// convert_folder FOLDER OUT.gguf OUTTYPE: the conversion alone, for check_peer.py.
#include <cstdio>

#include "workshop/convert.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto type = watra::workshop::out_type_from_name(argv[3]);
  if (!type) return 2;
  watra::workshop::ConvertOptions options;
  options.source = argv[1];
  options.target = argv[2];
  options.out_type = *type;
  const auto report = watra::workshop::convert(options);
  if (report) return 0;
  std::fprintf(stderr, "%s\n", report.error().to_string().c_str());
  return 1;
}
