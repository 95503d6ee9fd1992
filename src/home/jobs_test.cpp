// Jobs: told while they run, cancelled, failed, closed after a crash, and no more of them kept than promised.
#include "home/jobs.h"

#include <gtest/gtest.h>

#include <future>
#include <set>
#include <stdexcept>

#include "base/await_test.h"
#include "base/fault.h"
#include "base/must_test.h"
#include "home/ids.h"
#include "home/migrations.h"

namespace watra::home {
namespace {

class JobsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("watra_jobs_" + make_id("t"));
    fs::create_directories(folder_);
    db_ = std::move(*Database::open(folder_ / "home.db"));
    ASSERT_TRUE(migrate(*db_));
    events_ = std::make_unique<EventLog>(*db_);
    jobs_ = std::make_unique<Jobs>(*db_, *events_);
  }
  void TearDown() override {
    jobs_.reset();
    events_.reset();
    db_.reset();
    fs::remove_all(folder_);
  }
  Job ended(const std::string& id) {
    Job job;
    EXPECT_TRUE(comes_about([&] { return (job = *jobs_->find(id)).is_over(); })) << "the job did not end";
    return job;
  }
  std::vector<Json> told(const std::string& id) {
    std::vector<Json> all;
    const auto page = events_->read(0, 10'000);
    for (const Event& e : page->events) {
      Json data = Json::parse(e.data);
      if (e.type == "job.changed" && data["id"] == id) all.push_back(std::move(data));
    }
    return all;
  }
  fs::path folder_;
  std::unique_ptr<Database> db_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<Jobs> jobs_;
};

// What is thrown is no std::exception everywhere: it ends the job all the same, and nothing else.
TEST_F(JobsTest, OutlivesWhatIsNoStandardException) {
  const auto begun = jobs_->start({.kind = "load",
                                   .title = "smollm2",
                                   .work = [](JobControl&) -> Result<Json> { throw 5; },
                                   .ended = [](const Job&) { throw 6; }});
  ASSERT_TRUE(begun);
  const Job over = ended(begun->id);
  EXPECT_EQ(over.state, "failed");
  EXPECT_EQ(over.error.at("code"), "job.failed");
}

// The system has no thread left: whoever asked hears it, the list tells it, and the next one runs.
TEST_F(JobsTest, AJobWithoutAThreadHasFailedWithWords) {
  std::vector<Job> ends;
  const auto wish = [&] {
    return Jobs::Wish{.kind = "download",
                      .title = "smollm2",
                      .subject = "smollm2",
                      .work = [](JobControl&) -> Result<Json> { return Json(nullptr); },
                      .ended = [&](const Job& over) { ends.push_back(over); }};
  };
  {
    const fault::Arm arm("thread.start", 0);
    const auto begun = jobs_->start_once(wish());
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, "system.no_thread");
    EXPECT_NE(begun.error().message.find("smollm2"), std::string::npos);
  }
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_FALSE(jobs_->under_way("download", "smollm2"));
  const auto list = jobs_->list();
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ((*list)[0].state, "failed");
  EXPECT_EQ((*list)[0].error.at("code"), "system.no_thread");
  EXPECT_EQ(told((*list)[0].id).back().at("state"), "failed");
  const auto again = jobs_->start_once(wish());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->fresh);
  EXPECT_EQ(ended(again->job.id).state, "done");
  jobs_->close();  // waits for nobody that is not there
}

TEST_F(JobsTest, TellsItsBeginningProgressAndEnd) {
  const Job begun = *jobs_->start({.kind = "download",
                                   .title = "smollm2",
                                   .subject = "smollm2",
                                   .total_bytes = 100,
                                   .work = [](JobControl& c) -> Result<Json> {
                                     for (uint64_t i = 0; i <= 100; i += 10) {
                                       c.progress(i, 100);
                                       std::this_thread::sleep_for(std::chrono::milliseconds(70));
                                     }
                                     return Json{{"path", "x"}};
                                   }});
  EXPECT_EQ(begun.state, "running");
  EXPECT_TRUE(jobs_->under_way("download", "smollm2"));
  const Job job = ended(begun.id);
  EXPECT_EQ(job.state, "done");
  EXPECT_EQ(job.progress, 1);
  EXPECT_EQ(job.result["path"], "x");
  EXPECT_TRUE(job.ended_ms);
  const auto all = told(begun.id);
  ASSERT_GE(all.size(), 4u);  // the beginning, some of the way, the end
  EXPECT_LE(all.size(), 3 + static_cast<size_t>(*job.ended_ms - job.created_ms) / 250);  // and not each step
  EXPECT_GT(all[2]["bytes_per_s"], 0);
  EXPECT_EQ(all.back()["state"], "done");
  EXPECT_FALSE(jobs_->under_way("download", "smollm2"));
}

TEST_F(JobsTest, CancelledAndFailedAreTwoThings) {
  const auto until_told = [](JobControl& c) -> Result<Json> {
    while (!c.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return fail("hub.cancelled", "stopped");
  };
  const Job a = *jobs_->start({.kind = "download", .title = "a", .work = until_told});
  ASSERT_TRUE(jobs_->cancel(a.id));
  EXPECT_EQ(ended(a.id).state, "cancelled");
  EXPECT_TRUE(ended(a.id).error.is_null());
  const Job b = *jobs_->start({.kind = "load", .title = "b", .work = [](JobControl&) -> Result<Json> {
                                 return fail("model.broken", "no model", "another file");
                               }});
  EXPECT_EQ(ended(b.id).state, "failed");
  EXPECT_EQ(ended(b.id).error["code"], "model.broken");
  EXPECT_EQ(ended(b.id).error["hint"], "another file");
  EXPECT_EQ(jobs_->cancel("j_none").error().code, "job.unknown");
  EXPECT_EQ((*jobs_->cancel(b.id)).state, "failed");
}

TEST_F(JobsTest, WhatIsThrownFailsTheJobAlone) {
  const auto thrower = [](auto what) { return [what](JobControl&) -> Result<Json> { throw what; }; };
  const Job a = *jobs_->start({.kind = "load", .title = "a", .work = thrower(std::runtime_error("secret words"))});
  const Job b =
      *jobs_->start({.kind = "load", .title = "b", .work = thrower(std::bad_alloc()), .ended = [](const Job&) {
                       throw std::runtime_error("nobody listens");
                     }});
  EXPECT_EQ(ended(a.id).state, "failed");
  EXPECT_EQ(ended(a.id).error["code"], "job.failed");
  EXPECT_EQ(ended(a.id).error["message"].get<std::string>().find("secret"), std::string::npos);
  EXPECT_EQ(ended(b.id).error["code"], "job.no_memory");
}

TEST_F(JobsTest, WhatWasUnderWayAtACrashHasFailed) {
  db_->run("INSERT INTO jobs(id, kind, title, state, created_ms) VALUES('j_old', 'download', 'x', 'running', 1)");
  jobs_.reset();
  jobs_ = std::make_unique<Jobs>(*db_, *events_);
  const Job job = *jobs_->find("j_old");
  EXPECT_EQ(job.state, "failed");
  EXPECT_EQ(job.error["code"], "job.interrupted");
}

TEST_F(JobsTest, TheNewestFiftyAreKeptNewestFirst) {
  std::string last;
  for (int i = 0; i < 60; ++i) {
    last = jobs_
               ->start({.kind = "unload",
                        .title = std::to_string(i),
                        .work = [](JobControl&) -> Result<Json> { return Json(nullptr); }})
               ->id;
    ended(last);
  }
  const auto all = *jobs_->list();
  EXPECT_EQ(all.size(), 50u);
  EXPECT_EQ(all.front().id, last);
}

TEST_F(JobsTest, OfOneSubjectOneRunsAtATime) {
  std::atomic<bool> go_on{true};
  std::atomic<int> n_begun{0};
  const auto wish = [&](const char* kind, const char* subject) {
    return Jobs::Wish{.kind = kind, .title = subject, .subject = subject, .work = [&](JobControl&) -> Result<Json> {
                        ++n_begun;
                        while (go_on) std::this_thread::sleep_for(std::chrono::milliseconds(2));
                        return Json(nullptr);
                      }};
  };
  std::mutex mutex;
  std::set<std::string> ids;
  std::atomic<int> n_fresh{0};
  std::vector<std::thread> askers;
  for (int i = 0; i < 16; ++i)
    askers.emplace_back([&] {
      const auto begun = jobs_->start_once(wish("load", "smollm2"));
      ASSERT_TRUE(begun);
      n_fresh += begun->fresh;
      const std::lock_guard lock(mutex);
      ids.insert(begun->job.id);
    });
  for (auto& asker : askers) asker.join();
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(n_fresh, 1);
  EXPECT_TRUE(jobs_->start_once(wish("download", "smollm2"))->fresh);  // another kind
  EXPECT_TRUE(jobs_->start_once(wish("load", "qwen"))->fresh);         // another subject
  go_on = false;
  ended(*ids.begin());
  const auto again = jobs_->start_once(wish("load", "smollm2"));
  EXPECT_TRUE(again->fresh) << "what is over is not under way";
  ended(again->job.id);
  EXPECT_EQ(n_begun, 4);
}

TEST_F(JobsTest, TheEndWaitsForWhatRuns) {
  std::atomic<bool> over{false};
  ASSERT_TRUE(jobs_->start({.kind = "load", .title = "x", .work = [&](JobControl& c) -> Result<Json> {
                              while (!c.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
                              over = true;
                              return fail("load.cancelled", "stopped");
                            }}));
  jobs_.reset();
  EXPECT_TRUE(over);
}

TEST_F(JobsTest, OneThatIsNeverWrittenDownIsNobodysJob) {
  const auto start = [this] {
    return jobs_->start_once({.kind = "load", .title = "m", .subject = "m", .work = [](JobControl&) -> Result<Json> {
                                return Json(nullptr);
                              }});
  };
  std::future<Result<Jobs::Begun>> first, second;
  {
    const auto held = db_->lock();  // the first one cannot write its row yet
    first = std::async(std::launch::async, start);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    second = std::async(std::launch::async, start);
    EXPECT_EQ(second.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout)
        << "it was given a job that is not there yet";
    db_->run("PRAGMA query_only = ON");  // nor ever
  }
  EXPECT_FALSE(first.get());
  EXPECT_FALSE(second.get());
  EXPECT_FALSE(jobs_->under_way("load", "m"));
  db_->run("PRAGMA query_only = OFF");
  const auto third = must(start());
  EXPECT_TRUE(third.fresh);
  EXPECT_EQ(ended(third.job.id).state, "done");
}

}  // namespace
}  // namespace watra::home
