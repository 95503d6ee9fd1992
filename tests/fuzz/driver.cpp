// The main of every fuzz_NAME program: feeds LLVMFuzzerTestOneInput the corpus and then mutations of it.
//
//   fuzz_NAME [--runs N] [--seconds S] [--seed K] [--max-bytes B] [--memory-factor F] [--dict FILE] [--slow-ms T]
//   CORPUS...
//
// CORPUS: files and folders. Each mutation depends on (seed, run) alone, so any run can be repeated. An input that
// crashes, takes longer than T (default 5000) or holds more than 64 KiB + F x its size is written to
// crash-NAME-SEED-RUN in the working folder; `fuzz_NAME --runs 0 crash-...` tries it again. Exit 0 when nothing was
// found.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>

#include "mutator.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

// Counts the bytes held at once, to catch an allocation that the input's size does not justify.
namespace {
std::atomic<size_t> held_bytes{0}, peak_bytes{0};
}
void* operator new(size_t n, const std::nothrow_t&) noexcept {
  void* p = std::malloc(n ? n : 1);
  if (!p) return nullptr;
  const size_t now = held_bytes.fetch_add(malloc_usable_size(p), std::memory_order_relaxed) + malloc_usable_size(p);
  for (size_t peak = peak_bytes.load(std::memory_order_relaxed);
       now > peak && !peak_bytes.compare_exchange_weak(peak, now);) {
  }
  return p;
}
void* operator new(size_t n) {
  if (void* p = operator new(n, std::nothrow)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept {
  if (p) held_bytes.fetch_sub(malloc_usable_size(p), std::memory_order_relaxed);
  std::free(p);
}
void operator delete(void* p, size_t) noexcept { operator delete(p); }

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Options {
  uint64_t runs = 10000, seed = 1, max_bytes = 1 << 16, memory_factor = 0, slow_ms = 5000;
  double seconds = 60;
  fs::path dict;
  std::vector<fs::path> corpus;
};

// What is being tried, for the signal handler: plain data only.
const char* current_data = nullptr;
size_t current_size = 0;
char crash_path[512] = "";

// Async-signal-safe.
void save_current() {
  const int fd = ::open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return;
  for (size_t done = 0; done < current_size;) {
    const ssize_t n = ::write(fd, current_data + done, current_size - done);
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  ::close(fd);
  constexpr char kSaid[] = "\ninput saved to ";
  if (::write(2, kSaid, sizeof kSaid - 1) < 0 || ::write(2, crash_path, std::strlen(crash_path)) < 0 ||
      ::write(2, "\n", 1) < 0)
    return;
}

void on_signal(int signal) {
  save_current();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

[[noreturn]] void found(const char* what, uint64_t value, uint64_t limit) {
  std::fprintf(stderr, "%s: %llu, at most %llu is allowed", what, static_cast<unsigned long long>(value),
               static_cast<unsigned long long>(limit));
  save_current();
  std::exit(1);
}

void try_input(const std::string& input, const Options& options) {
  // A copy of exactly that size, so that a sanitizer sees the first byte past its end.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  current_data = input.data();
  current_size = input.size();
  const size_t held_before = held_bytes;
  peak_bytes = held_before;
  const auto begin = Clock::now();
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  const auto ms =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count());
  if (ms > options.slow_ms) found("milliseconds for one input", ms, options.slow_ms);
  const uint64_t limit = (uint64_t{64} << 10) + options.memory_factor * input.size();
  if (options.memory_factor && peak_bytes - held_before > limit)
    found("bytes held at once", peak_bytes - held_before, limit);
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> read_dict(const fs::path& path) {
  std::vector<std::string> words;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::string word;
    for (size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\\' && line.compare(i, 2, "\\x") == 0 && i + 3 < line.size()) {
        word += static_cast<char>(std::stoi(line.substr(i + 2, 2), nullptr, 16));
        i += 3;
      } else if (line[i] == '\\' && i + 1 < line.size()) {
        const char c = line[++i];
        word += c == 'n' ? '\n' : c == 't' ? '\t' : c;
      } else {
        word += line[i];
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

[[noreturn]] void usage(const char* why, const char* which) {
  std::fprintf(stderr,
               "%s %s\nfuzz_NAME [--runs N] [--seconds S] [--seed K] [--max-bytes B] [--memory-factor F] [--dict FILE] "
               "[--slow-ms T] CORPUS...\n",
               why, which);
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (!arg.starts_with("--")) {
      o.corpus.emplace_back(arg);
      continue;
    }
    if (++i == argc) usage("a value is missing after", argv[i - 1]);
    const char* value = argv[i];
    if (arg == "--runs")
      o.runs = std::strtoull(value, nullptr, 10);
    else if (arg == "--seconds")
      o.seconds = std::strtod(value, nullptr);
    else if (arg == "--seed")
      o.seed = std::strtoull(value, nullptr, 10);
    else if (arg == "--max-bytes")
      o.max_bytes = std::strtoull(value, nullptr, 10);
    else if (arg == "--memory-factor")
      o.memory_factor = std::strtoull(value, nullptr, 10);
    else if (arg == "--slow-ms")
      o.slow_ms = std::strtoull(value, nullptr, 10);
    else if (arg == "--dict")
      o.dict = value;
    else
      usage("unknown option", argv[i - 1]);
  }
  return o;
}

std::vector<std::string> read_corpus(const Options& options) {
  std::vector<fs::path> files;
  for (const fs::path& p : options.corpus) {
    if (!fs::exists(p)) usage("no such corpus:", p.c_str());
    if (!fs::is_directory(p))
      files.push_back(p);
    else
      for (const auto& e : fs::recursive_directory_iterator(p))
        if (e.is_regular_file()) files.push_back(e.path());
  }
  if (files.empty()) usage("needed a corpus:", "a file or a folder with files");
  std::sort(files.begin(), files.end());  // the order of a folder is the file system's whim
  std::vector<std::string> corpus;
  for (const fs::path& f : files) corpus.push_back(read_file(f));
  return corpus;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const std::vector<std::string> corpus = read_corpus(options);
  const std::vector<std::string> dictionary =
      options.dict.empty() ? std::vector<std::string>{} : read_dict(options.dict);
  const std::string name = fs::path(argv[0]).filename().string();
  if (__sanitizer_set_death_callback)
    __sanitizer_set_death_callback(save_current);
  else
    for (const int s : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) std::signal(s, on_signal);

  const auto begin = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  for (size_t i = 0; i < corpus.size(); ++i) {
    std::snprintf(crash_path, sizeof crash_path, "crash-%s-corpus-%zu", name.c_str(), i);
    try_input(corpus[i], options);
  }
  uint64_t run = 0;
  for (; run < options.runs && seconds() < options.seconds; ++run) {
    std::snprintf(crash_path, sizeof crash_path, "crash-%s-%llu-%llu", name.c_str(),
                  static_cast<unsigned long long>(options.seed), static_cast<unsigned long long>(run));
    watra::fuzz::Mutator mutator(options.seed * 0x100000001b3 + run, options.max_bytes, dictionary);
    std::string input = corpus[mutator.below(corpus.size())];
    mutator.mutate(input, corpus);
    try_input(input, options);
  }
  std::printf("%s: %zu inputs of the corpus, %llu mutations (seed %llu) in %.1f s, nothing found\n", name.c_str(),
              corpus.size(), static_cast<unsigned long long>(run), static_cast<unsigned long long>(options.seed),
              seconds());
  return 0;
}
