// encode_texts VOCAB.gguf: reads texts from standard input, writes their ids to standard output.
//
//   request   u8 flags (1 add special, 2 parse special)  u32 length  bytes
//   answer    u32 count  i32 ids[count]  u32 length  bytes of the decoded text
//
// encode_texts VOCAB.gguf --bench FILE: megabytes per second of processor time over FILE, the median of several rounds,
// one thread.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>

#include "checkpoint/checkpoint.h"
#include "model/vocab.h"
#include "text/tokenizer.h"

namespace {

using watra::text::TokenId;
using watra::text::Tokenizer;

bool read_exactly(void* into, size_t n) { return std::fread(into, 1, n, stdin) == n; }

void write_block(const void* data, uint32_t count, size_t bytes) {
  std::fwrite(&count, sizeof(count), 1, stdout);
  std::fwrite(data, 1, bytes, stdout);
}

int serve(const Tokenizer& tokenizer) {
  uint8_t flags = 0;
  uint32_t length = 0;
  while (read_exactly(&flags, 1) && read_exactly(&length, sizeof(length))) {
    std::string text(length, '\0');
    if (!read_exactly(text.data(), length)) return 1;
    const auto ids = tokenizer.encode(text, {.add_special = (flags & 1) != 0, .parse_special = (flags & 2) != 0});
    write_block(ids.data(), static_cast<uint32_t>(ids.size()), ids.size() * sizeof(TokenId));
    const std::string decoded = tokenizer.decode(ids);
    write_block(decoded.data(), static_cast<uint32_t>(decoded.size()), decoded.size());
  }
  std::fflush(stdout);
  return 0;
}

int bench(const Tokenizer& tokenizer, const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  std::vector<double> rates;
  size_t n_ids = 0;
  for (int round = 0; round < 7; ++round) {
    const std::clock_t start = std::clock();
    n_ids = tokenizer.encode(text).size();
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    rates.push_back(static_cast<double>(text.size()) / 1e6 / seconds);
  }
  std::sort(rates.begin(), rates.end());
  std::printf("%.1f MB/s (%.1f to %.1f), %zu bytes, %zu ids, %.2f bytes per id\n", rates[rates.size() / 2],
              rates.front(), rates.back(), text.size(), n_ids,
              static_cast<double>(text.size()) / static_cast<double>(std::max<size_t>(n_ids, 1)));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::clock_t start = std::clock();
  auto file = watra::checkpoint::Checkpoint::open(argv[1]);
  auto spec = file ? watra::model::load_vocab(*file) : watra::fail(file.error());
  auto tokenizer = spec ? Tokenizer::create(std::move(*spec)) : watra::fail(spec.error());
  if (!tokenizer) {
    std::fprintf(stderr, "%s\n", tokenizer.error().to_string().c_str());
    return 1;
  }
  if (argc == 4 && std::strcmp(argv[2], "--bench") == 0) {
    std::printf("loaded in %.0f ms\n", 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    return bench(**tokenizer, argv[3]);
  }
  return serve(**tokenizer);
}
