// The store alone: pages of made-up bytes, every fault, several processes.
#include "engine/kv_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <future>
#include <random>
#include <thread>

#include "base/await_test.h"
#include "base/fault.h"
#include "base/must_test.h"
#include "engine/tiny_model_test.h"

namespace watra::engine {
namespace {

constexpr uint64_t kPageBytes = 10'000, kExactBytes = 2'222;  // no multiples of anything; of page 0
constexpr PageKey kRoot{11, 22};
constexpr auto kPage = static_cast<size_t>(kernels::kKvPage);

// A conversation of n pages and what its pages hold: bytes that depend on everything before.
struct Chain {
  std::vector<TokenId> tokens;
  std::vector<PageKey> keys;
  explicit Chain(size_t n, TokenId first = 0) {
    for (size_t i = 0; i < n * kPage; ++i) tokens.push_back(first + static_cast<TokenId>(i % 977));
    append_page_keys(kRoot, tokens, keys);
  }
  KvStore::PageName name(size_t i) const {
    return {kRoot, keys[i], i > 0 ? keys[i - 1] : kRoot, static_cast<int64_t>(i),
            std::span(tokens).subspan(i * kPage, kPage)};
  }
  std::vector<std::byte> page(size_t i) const {
    std::vector<std::byte> bytes(kPageBytes + (i == 0 ? kExactBytes : 0));
    std::mt19937_64 rng(keys[i].a);
    for (auto& b : bytes) b = static_cast<std::byte>(rng());
    return bytes;
  }
};

// The bytes of a page, those of page 0 with its exact rows behind it.
KvPlace place_in(std::vector<std::byte>& bytes) {
  return {bytes.data(), bytes.size() > kPageBytes ? bytes.data() + kPageBytes : nullptr};
}
bool offer(KvStore& store, const Chain& c, size_t i) {
  auto bytes = c.page(i);
  return store.offer(c.name(i), place_in(bytes));
}

std::shared_ptr<KvStore> open_store(const fs::path& folder, KvStoreOptions o = {}) {
  o.folder = folder;
  if (o.keep_free_bytes == KvStoreOptions{}.keep_free_bytes) o.keep_free_bytes = 0;  // any disk will do for a test
  auto store = KvStore::create(o, kPageBytes, kExactBytes, nullptr);
  EXPECT_TRUE(store);
  return *store;
}

void store_all(KvStore& store, const Chain& c) {
  for (size_t i = 0; i < c.keys.size(); ++i)
    while (!offer(store, c, i)) store.drain();
  store.drain();
}

// Pages that come back from `first` on, each of them compared.
int64_t restored(KvStore& store, const Chain& c, int64_t first = 0) {
  std::vector<std::vector<std::byte>> pages;
  int64_t next = first;
  const int64_t n = store.restore(kRoot, c.keys, c.tokens, first, [&](int64_t i) {
    EXPECT_EQ(i, next++) << "in order";
    return place_in(pages.emplace_back(kPageBytes + (i == 0 ? kExactBytes : 0)));
  });
  EXPECT_EQ(static_cast<size_t>(n), pages.size());
  for (size_t i = 0; i < pages.size(); ++i) EXPECT_EQ(pages[i], c.page(static_cast<size_t>(first) + i)) << i;
  return n;
}

int64_t n_files(const fs::path& folder, std::string_view extension) {
  const auto files = list_files(folder).value();
  return std::ranges::count_if(files, [&](const FolderEntry& f) { return f.path.extension() == extension; });
}

TEST(KvStore, PagesComeBackAfterARestartAndOnlyForTheirText) {
  const TestFolder folder;
  const Chain a(30), b(30, 5);
  {
    auto store = open_store(folder.path() / "kv");
    EXPECT_EQ(restored(*store, a), 0);
    store_all(*store, a);
    EXPECT_EQ(store->counts().n_stored, 30);
  }
  auto store = open_store(folder.path() / "kv");
  EXPECT_EQ(restored(*store, a), 30);
  EXPECT_EQ(restored(*store, a, 17), 13);
  EXPECT_EQ(restored(*store, b), 0);
  EXPECT_TRUE(store->has(kRoot, a.keys[3], 3));
  EXPECT_FALSE(store->has(kRoot, b.keys[3], 3));
  store_all(*store, a);
  EXPECT_EQ(store->counts().n_stored, 0) << "they are there";
  EXPECT_EQ(store->counts().n_damaged, 0);
  EXPECT_FALSE(store->trouble());
}

TEST(KvStore, ConversationsShareTheirBeginning) {
  const TestFolder folder;
  Chain a(8), b(8);
  std::fill(b.tokens.begin() + 5 * kPage, b.tokens.end(), 7);
  b.keys.clear();
  append_page_keys(kRoot, b.tokens, b.keys);
  auto store = open_store(folder.path());
  store_all(*store, a);
  store_all(*store, b);
  const auto content = store->content().value();
  EXPECT_EQ(content.n_pages, 8 + 3);
  EXPECT_EQ(content.n_conversations, 2);
  EXPECT_EQ(content.bytes, 11 * internal::kv_page_file_bytes(kPageBytes));
}

TEST(KvStore, RestoringStopsWhenTimeIsUpAndWhereThereIsNoPlace) {
  const TestFolder folder;
  const Chain a(20);
  auto store = open_store(folder.path());
  store_all(*store, a);
  std::vector<std::byte> page(kPageBytes + kExactBytes);
  const auto place = [&](int64_t) { return place_in(page); };
  EXPECT_EQ(store->restore(kRoot, a.keys, a.tokens, 0, place, std::chrono::steady_clock::now()), 1);
  EXPECT_EQ(store->restore(kRoot, a.keys, a.tokens, 0, [&](int64_t i) { return i < 4 ? place_in(page) : KvPlace{}; }),
            4);
  EXPECT_EQ(restored(*store, a), 20);
}

TEST(KvStore, PageZeroBringsItsExactRows) {
  constexpr uint64_t kLarge = 70'001;
  const TestFolder folder;
  const Chain a(3);
  const KvStoreOptions options{.folder = folder.path(), .keep_free_bytes = 0};
  const auto bytes_of = [&](size_t i) {
    std::vector<std::byte> bytes(kPageBytes + (i == 0 ? kLarge : 0));
    std::mt19937_64 rng(i);
    for (auto& b : bytes) b = static_cast<std::byte>(rng());
    return bytes;
  };
  const auto back = [&](KvStore& store) {
    std::vector<std::vector<std::byte>> pages;
    const int64_t n = store.restore(kRoot, a.keys, a.tokens, 0, [&](int64_t i) {
      return place_in(pages.emplace_back(kPageBytes + (i == 0 ? kLarge : 0)));
    });
    for (size_t i = 0; i < pages.size(); ++i) EXPECT_EQ(pages[i], bytes_of(i)) << i;
    return n;
  };
  auto store = KvStore::create(options, kPageBytes, kLarge, nullptr).value();
  for (size_t i = 0; i < 3; ++i) {
    auto bytes = bytes_of(i);
    ASSERT_TRUE(store->offer(a.name(i), place_in(bytes)));
    store->drain();
  }
  EXPECT_EQ(store->content()->bytes,
            internal::kv_page_file_bytes(kPageBytes + kLarge) + 2 * internal::kv_page_file_bytes(kPageBytes));
  EXPECT_EQ(back(*store), 3);
  // Damaged behind the page, in its exact rows; and a store without any: neither takes it for a page.
  const fs::path first = internal::KvShelf(folder.path(), 0, 0).path_of(kRoot, a.keys[0], 0);
  std::string damaged = read_text_file(first).value();
  damaged[4096 + kPageBytes + kLarge - 1] ^= 1;
  ASSERT_TRUE(write_file_atomic(first, damaged));
  EXPECT_EQ(back(*store), 0);
  EXPECT_FALSE(fs::exists(first));
  auto bytes = bytes_of(0);
  ASSERT_TRUE(store->offer(a.name(0), place_in(bytes)));
  store->drain();
  auto plain = KvStore::create(options, kPageBytes, 0, nullptr).value();
  EXPECT_EQ(restored(*plain, a), 0);
}

// Every way in which a file can be wrong: it is not restored, it is gone, and the page can be stored again.
TEST(KvStore, NothingWrongIsEverRestored) {
  const TestFolder folder;
  const Chain a(4), other(4, 9);
  {
    auto store = open_store(folder.path());
    store_all(*store, a);
    store_all(*store, other);
  }
  const auto shelf = internal::KvShelf(folder.path(), 0, 0);
  const fs::path victim = shelf.path_of(kRoot, a.keys[2], 2);
  const std::string good = read_text_file(victim).value();
  ASSERT_EQ(good.size(), internal::kv_page_file_bytes(kPageBytes));
  std::vector<std::pair<std::string, std::string>> wrong = {
      {"empty", ""},
      {"cut in the header", good.substr(0, 100)},
      {"cut in the page", good.substr(0, 8192)},
      {"cut by a byte", good.substr(0, good.size() - 1)},
      {"longer", good + std::string(4096, '\0')},
      {"zeros", std::string(good.size(), '\0')},
      {"the page before", read_text_file(shelf.path_of(kRoot, a.keys[1], 1)).value()},
      {"another conversation's", read_text_file(shelf.path_of(kRoot, other.keys[2], 2)).value()},
      {"this header, another's page",
       good.substr(0, 4096) + read_text_file(shelf.path_of(kRoot, other.keys[2], 2)).value().substr(4096)},
  };
  std::string version = good;
  version[7] = '1';
  wrong.emplace_back("of another version", version);
  std::mt19937 rng(3);
  for (size_t bit : {size_t{0}, size_t{8} * 20, size_t{8} * 100, size_t{8} * 300, size_t{8} * 4096,
                     size_t{8} * (4096 + kPageBytes) - 1}) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    wrong.emplace_back(fmt::format("bit {}", bit), flipped);
  }
  for (int i = 0; i < 50; ++i) {
    std::string flipped = good;
    const size_t bit = rng() % (8 * (4096 + kPageBytes));
    if (bit / 8 >= 400 && bit / 8 < 4096) continue;  // behind the header's fields: nobody reads that
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    wrong.emplace_back(fmt::format("bit {}", bit), flipped);
  }
  for (const auto& [what, content] : wrong) {
    ASSERT_TRUE(write_file_atomic(victim, content));
    auto store = open_store(folder.path());
    EXPECT_EQ(restored(*store, a), 2) << what;
    EXPECT_EQ(store->counts().n_damaged, 1) << what;
    EXPECT_FALSE(fs::exists(victim)) << what;
    store_all(*store, a);
    EXPECT_EQ(restored(*store, a), 4) << what;
  }
}

TEST(KvStore, APageOfAnotherTextUnderTheSameKeyIsNotRestored) {
  const TestFolder folder;
  Chain a(3);
  auto store = open_store(folder.path());
  store_all(*store, a);
  a.tokens[kPage + 5] = 3;  // a collision of keys, as somebody might look for one
  EXPECT_EQ(store->restore(kRoot, a.keys, a.tokens, 0,
                           [&, page = std::vector<std::byte>(kPageBytes + kExactBytes)](int64_t) mutable {
                             return place_in(page);
                           }),
            1);
}

// The Nth passage of every fault point fails: what comes back is right, the next start works.
TEST(KvStore, EveryOperationMayFail) {
  for (const char* point : {"file.open", "file.write", "file.rename", "file.read", "file.remove", "direct.open",
                            "direct.read", "direct.cachestat", "uring.setup"}) {
    bool fired = true;
    for (uint64_t nth = 0; fired && nth < 60; ++nth) {
      const TestFolder folder;
      const Chain a(6);
      {
        const fault::Arm arm(point, nth);
        {
          auto store = open_store(folder.path());
          store_all(*store, a);
          if (arm.fired() && std::string_view(point) == "file.write") {
            ASSERT_TRUE(store->trouble());
            EXPECT_EQ(store->trouble()->code, "file.disk_full");
            EXPECT_EQ(store->counts().n_stored, static_cast<int64_t>(nth)) << "and nothing is tried after that";
          }
        }
        auto store = open_store(folder.path());
        EXPECT_LE(restored(*store, a), 6) << point << " " << nth;
        fired = arm.fired();
      }
      auto store = open_store(folder.path());
      store_all(*store, a);
      EXPECT_EQ(restored(*store, a), 6) << point << " " << nth;
      EXPECT_EQ(n_files(folder.path(), ".kv2"), 6) << point << " " << nth;
      EXPECT_EQ(list_files(folder.path())->size(), 6u) << "and nothing else: " << point << " " << nth;
    }
    EXPECT_FALSE(fired) << point;
  }
}

TEST(KvStore, TheLongestUnusedMakeRoomAndEndsGoBeforeBeginnings) {
  const TestFolder folder;
  const uint64_t one = internal::kv_page_file_bytes(kPageBytes);
  const Chain a(10), b(10, 1), c(10, 2);
  auto store = open_store(folder.path(), {.limit_bytes = 25 * one});
  store_all(*store, a);
  store->used(kRoot, a.keys);
  store->drain();
  store_all(*store, b);
  store->used(kRoot, b.keys);
  store->used(kRoot, a.keys);  // the newest now
  store->drain();
  store_all(*store, c);
  EXPECT_LE(store->content()->bytes, 25 * one);
  EXPECT_EQ(restored(*store, a), 10);
  EXPECT_EQ(restored(*store, c), 10);
  const int64_t n = restored(*store, b);
  EXPECT_GE(n, 2);
  EXPECT_LE(n, 5);
  EXPECT_FALSE(store->trouble());
}

TEST(KvStore, AConversationLargerThanTheLimitKeepsItsBeginning) {
  const TestFolder folder;
  const uint64_t one = internal::kv_page_file_bytes(kPageBytes);
  const Chain old(10, 5), a(40), later(6, 9);
  auto store = open_store(folder.path(), {.limit_bytes = 25 * one});
  store_all(*store, old);
  store_all(*store, a);
  EXPECT_EQ(restored(*store, old), 0);
  EXPECT_EQ(restored(*store, a), 25);
  EXPECT_EQ(store->content()->n_pages, 25) << "and nothing that goes on from what is not there";
  EXPECT_FALSE(store->trouble()) << "others may be stored";

  auto again = open_store(folder.path(), {.limit_bytes = 25 * one});  // after a restart
  EXPECT_EQ(restored(*again, a), 25);
  store_all(*again, a);
  EXPECT_EQ(restored(*again, a), 25);
  store_all(*again, later);
  EXPECT_EQ(restored(*again, later), 6);
  EXPECT_GE(restored(*again, a), 17) << "the new one takes of its end";
}

// Two that grow in turn: whoever stores, the other loses its end.
TEST(KvStore, ConversationsThatGrowInTurnKeepTheirBeginnings) {
  const TestFolder folder;
  const uint64_t one = internal::kv_page_file_bytes(kPageBytes);
  const Chain a(20, 1), b(20, 2);
  auto store = open_store(folder.path(), {.limit_bytes = 25 * one});
  for (size_t i = 0; i < 20; ++i)
    for (const Chain* c : {&a, &b}) {
      while (!offer(*store, *c, i)) store->drain();
      store->drain();
    }
  const int64_t n_a = restored(*store, a), n_b = restored(*store, b);
  EXPECT_GE(n_a + n_b, 22);
  EXPECT_EQ(store->content()->n_pages, n_a + n_b) << "every page there is can be restored";
}

TEST(KvStore, TellsWhatConversationsSaidTheNewestFirstAndSharedPartsOnce) {
  const TestFolder folder;
  const Chain a(3, 1);
  Chain b(3, 1);  // goes on from two pages of a
  b.tokens[2 * kPage] += 7;
  b.keys.clear();
  append_page_keys(kRoot, b.tokens, b.keys);
  auto store = open_store(folder.path());
  EXPECT_TRUE(store->texts(kRoot, 1000)->empty());
  store_all(*store, a);
  store_all(*store, b);
  store->used(kRoot, b.keys);
  store->drain();
  const auto texts = store->texts(kRoot, 1000);
  ASSERT_TRUE(texts) << texts.error().to_string();
  ASSERT_EQ(texts->size(), 2u);
  EXPECT_EQ(texts->at(0), b.tokens);
  EXPECT_EQ(texts->at(1), std::vector<TokenId>(a.tokens.end() - kPage, a.tokens.end()));
  EXPECT_EQ(store->texts(kRoot, 100)->size(), 1u) << "enough";
  EXPECT_TRUE(store->texts(PageKey{1, 2}, 1000)->empty()) << "of another model";
}

TEST(KvStore, ALimitSmallerThanAPageAndAFullDiskStopStoringOnly) {
  const TestFolder folder;
  const Chain a(3);
  {
    auto store = open_store(folder.path());
    store_all(*store, a);
  }
  for (const KvStoreOptions& o :
       {KvStoreOptions{.limit_bytes = 100}, KvStoreOptions{.keep_free_bytes = uint64_t{1} << 60}}) {
    auto store = open_store(folder.path() / "kv", o);
    store_all(*store, a);
    ASSERT_TRUE(store->trouble());
    EXPECT_EQ(store->trouble()->code, "kv_store.no_room");
    EXPECT_NE(store->trouble()->message.find("stay free"), std::string::npos);
    EXPECT_EQ(store->counts().n_stored, 0);
  }
  auto store = open_store(folder.path(), {.limit_bytes = 100});
  EXPECT_EQ(restored(*store, a), 3) << "what is there can still be used";
}

TEST(KvStore, AFolderThatCannotBeWrittenIsNoMoreThanTrouble) {
  const TestFolder folder;
  ASSERT_TRUE(write_file_atomic(folder.path() / "kv", "a file where the folder should be"));
  const Chain a(3);
  auto store = open_store(folder.path() / "kv");
  EXPECT_EQ(restored(*store, a), 0);
  store_all(*store, a);
  EXPECT_TRUE(store->trouble());
}

TEST(KvStore, ErasingTakesWhatGoesOnFromAPageAndNothingElse) {
  const TestFolder folder;
  Chain a(8), b(8);
  std::fill(b.tokens.begin() + 5 * kPage, b.tokens.end(), 7);
  b.keys.clear();
  append_page_keys(kRoot, b.tokens, b.keys);
  auto store = open_store(folder.path());
  store_all(*store, a);
  store_all(*store, b);
  EXPECT_EQ(store->erase(kRoot, std::span(a.tokens).first(6 * kPage + 10), 6 * kPage + 5).value(), 2)
      << "the rest of that page is not asked for";
  EXPECT_EQ(restored(*store, a), 6);
  EXPECT_EQ(restored(*store, b), 8);
  EXPECT_EQ(store->erase(kRoot, a.tokens, 4 * kPage).value(), 1 + 1 + 3) << "both ways on from the shared page";
  EXPECT_EQ(restored(*store, b), 4);
  EXPECT_EQ(store->erase(kRoot, a.tokens, 5 * kPage).value(), 0);
  store_all(*store, a);  // what was erased may be said again
  EXPECT_EQ(restored(*store, a), 8);
  EXPECT_EQ(store->clear().value(), 8);
  EXPECT_TRUE(list_files(folder.path())->empty());
  EXPECT_EQ(restored(*store, a), 0);
}

// ---- processes ----

pid_t in_child(const std::function<void()>& work) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  work();
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

TEST(KvStore, AProcessKilledAtAnyMomentLeavesWholePagesOnly) {
  const TestFolder folder;
  std::mt19937 rng(::getpid());
  const Chain a(40);
  for (int round = 0; round < 40; ++round) {
    const pid_t pid = in_child([&] {
      for (TokenId i = 0;; ++i) {
        auto store = open_store(folder.path(), {.limit_bytes = 1 << 20});  // so that it also evicts
        store_all(*store, i % 2 == 0 ? a : Chain(40, 100 + i));
        store->used(kRoot, a.keys);
      }
    });
    ::usleep(1000 + rng() % 20'000);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it was still at work";
    auto store = open_store(folder.path());
    restored(*store, a);  // compares
    EXPECT_EQ(store->counts().n_damaged, 0) << "every file is whole";
  }
  auto store = open_store(folder.path());
  store_all(*store, a);
  EXPECT_EQ(restored(*store, a), 40);
  store_all(*store, Chain(1, 7));
  EXPECT_EQ(n_files(folder.path(), ".part"), 0) << "parts of the dead are swept";
}

TEST(KvStore, TwoProcessesShareAFolder) {
  const TestFolder folder;
  const uint64_t limit = 60 * internal::kv_page_file_bytes(kPageBytes);
  const auto work = [&](TokenId mine) {
    auto store = open_store(folder.path(), {.limit_bytes = limit});
    for (int round = 0; round < 10; ++round) {
      const Chain shared(20), own(20, mine + round);
      store_all(*store, shared);
      store_all(*store, own);
      restored(*store, shared);
      restored(*store, own);
      store->used(kRoot, shared.keys);
    }
    EXPECT_EQ(store->counts().n_damaged, 0);
    EXPECT_FALSE(store->trouble());
  };
  const pid_t a = in_child([&] { work(100); }), b = in_child([&] { work(200); });
  for (const pid_t pid : {a, b}) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  auto store = open_store(folder.path());
  EXPECT_LE(store->content()->bytes, limit + limit / 8) << "each counts the other's now and then";
  restored(*store, Chain(20));
  EXPECT_EQ(store->counts().n_damaged, 0);
}

// Bounds that a caller gets wrong erase too much rather than too little, and never read beside the text.
TEST(KvStore, ErasingKeepsToTheText) {
  const TestFolder folder;
  const Chain a(4);
  auto store = open_store(folder.path() / "kv");
  const auto text = std::span(a.tokens);
  store_all(*store, a);
  EXPECT_EQ(must(store->erase(kRoot, text.first(2 * kPage + 5), 100'000)), 2) << "behind the end of what is known";
  EXPECT_EQ(restored(*store, a), 2);
  store_all(*store, a);
  EXPECT_EQ(must(store->erase(kRoot, text.first(3 * kPage), 3 * kPage)), 1) << "at its very end";
  store_all(*store, a);
  EXPECT_EQ(must(store->erase(kRoot, {}, 7)), 4) << "nothing is known";
  store_all(*store, a);
  EXPECT_EQ(must(store->erase(kRoot, text, -1)), 4);
  EXPECT_EQ(restored(*store, a), 0);
}

// A disk that hangs while something is erased holds up nobody who offers pages.
TEST(KvStore, OfferingDoesNotWaitForErasing) {
  const TestFolder folder;
  const Chain a(3), b(3, 5);
  auto store = open_store(folder.path() / "kv");
  store_all(*store, a);
  std::future<Result<int64_t>> erased;
  {
    const fault::Stall stall("file.remove");
    erased = std::async(std::launch::async, [&] { return store->erase(kRoot, a.tokens, 0); });
    while (stall.waiting() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    auto offered = std::async(std::launch::async, [&] { return offer(*store, b, 0); });
    EXPECT_EQ(offered.wait_for(kPatience), std::future_status::ready);
  }
  EXPECT_EQ(must(erased.get()), 3);
  store_all(*store, b);
  EXPECT_EQ(restored(*store, a), 0);
  EXPECT_EQ(restored(*store, b), 3);
}

TEST(KvStore, WithoutAThreadNothingIsStoredAndAllElseGoesOn) {
  const TestFolder folder;
  const Chain a(3), b(3, 5);
  store_all(*open_store(folder.path() / "kv"), a);
  const fault::Arm arm("thread.start", 0);
  auto store = open_store(folder.path() / "kv");
  ASSERT_TRUE(store->trouble());
  EXPECT_EQ(store->trouble()->code, "system.no_thread");
  store_all(*store, b);
  store->used(kRoot, a.keys);
  store->drain();
  EXPECT_EQ(restored(*store, a), 3);
  EXPECT_EQ(restored(*store, b), 0);
  EXPECT_EQ(must(store->erase(kRoot, a.tokens, 0)), 3);
}

}  // namespace
}  // namespace watra::engine
