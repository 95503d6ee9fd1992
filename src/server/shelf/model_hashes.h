// ModelHashes: the SHA-256 of model files, for the record of what made an answer (HOUSE section 3).
//
// Of a file that was downloaded it is known from its receipt. Of others it is computed here once, in the background,
// and kept in the home beside what tells that the file is still the same. The thread that does it gives way to others:
// it rests while `busy` says that answers are made or a model is loaded, works a millisecond at a time and half of the
// time, at low priority, and reads past the page cache. Of a model in several files it is that of their bytes one after
// the other.
//
// Any thread may call; calls look at files and ask the store, so not the threads that serve.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "home/answers.h"
#include "home/shelf_notes.h"

namespace watra::server {

using ModelFileList = std::vector<fs::path>;  // all of one model, in order

// What tells that they are still those that were: "SIZE:TIME" of each; nothing where one cannot be looked at.
std::optional<std::string> stamp_of(const ModelFileList& files);

fs::path name_of(const ModelFileList& files);  // the first one, absolute

// What is known without reading them; "" = nothing. `home`: the folder, for its receipts.
std::string known_sha256(const fs::path& home, const home::ShelfNotes& notes, const ModelFileList& files);

// Gives it to the answers of these files that lack it. How many.
Result<int64_t> learn_hash(home::Answers& answers, const ModelFileList& files, const std::string& sha256);

class ModelHashes {
 public:
  struct Options {
    std::function<bool()> busy;                            // asked all the time
    std::function<void(const ModelFileList&)> found = {};  // on the thread of this object; may be null
  };
  ModelHashes(fs::path home, home::ShelfNotes& notes, Options options);
  ~ModelHashes();  // gives up what is under way
  ModelHashes(const ModelHashes&) = delete;

  // What is known; what is not, is computed when there is time.
  std::string ask(const ModelFileList& files);

 private:
  void work();
  // False: it was given up, or the files cannot be read or changed meanwhile.
  bool compute(const ModelFileList& files);
  bool rest(std::chrono::nanoseconds time);  // false: it ends

  const fs::path home_;
  home::ShelfNotes& notes_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<ModelFileList> wanted_;  // the first one is at hand
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace watra::server
