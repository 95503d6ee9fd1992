#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "base/await_test.h"
#include "base/file.h"
#include "base/must_test.h"

namespace watra {
namespace {

using namespace std::chrono_literals;

ProcessResult shell(const std::string& script, const ProcessOptions& options = {}) {
  auto r = run_process({"sh", "-c", script}, options);
  EXPECT_TRUE(r) << (r ? "" : r.error().to_string());
  return r ? *r : ProcessResult{-1, {}, {}};
}

TEST(Process, BothStreamsAndTheExitCodeAreCaptured) {
  const auto r = shell("echo to-out; echo to-err >&2; exit 3");
  EXPECT_EQ(r.exit_code, 3);
  EXPECT_EQ(r.out, "to-out\n");
  EXPECT_EQ(r.err, "to-err\n");
}

TEST(Process, ArgumentsArePassedAsTheyAre) {
  const auto r = run_process({"printf", "%s|", "a b", "$HOME", "\"*\"", ""});
  ASSERT_TRUE(r);
  EXPECT_EQ(r->out, "a b|$HOME|\"*\"||");
}

TEST(Process, StandardInputIsEmptyAndTheEnvironmentIsReplacedByName) {
  ::setenv("WATRA_TEST_A", "old", 1);
  ProcessOptions options;
  options.environment = {{"WATRA_TEST_A", "new"}, {"WATRA_TEST_B", "b=c"}};
  EXPECT_EQ(shell("cat; echo $WATRA_TEST_A $WATRA_TEST_B", options).out, "new b=c\n");
  ::unsetenv("WATRA_TEST_A");
}

TEST(Process, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  const auto r = run_process({"watra-no-such-program"});
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, "process.not_found");
  EXPECT_NE(r.error().message.find("watra-no-such-program"), std::string::npos);
}

TEST(Process, ASignalShowsInTheExitCode) { EXPECT_EQ(shell("kill -9 $$").exit_code, 128 + SIGKILL); }

TEST(Process, OfALongOutputTheEndIsKept) {
  ProcessOptions options;
  options.max_output_bytes = 1000;
  const auto r = shell("i=0; while [ $i -lt 5000 ]; do echo line$i; i=$((i+1)); done", options);
  EXPECT_EQ(r.out.size(), 1000u);
  EXPECT_TRUE(r.out.ends_with("line4999\n"));
}

// Also false for one that has ended and that nobody has asked about.
bool is_running(pid_t pid) {
  const auto stat = read_text_file(fmt::format("/proc/{}/stat", pid));
  const size_t name_end = stat ? stat->rfind(") ") : std::string::npos;
  return name_end != std::string::npos && stat->at(name_end + 2) != 'Z' && stat->at(name_end + 2) != 'X';
}

TEST(Process, CancelEndsTheChildAndItsChildren) {
  const fs::path marker = fs::temp_directory_path() / fmt::format("watra-process-{}", ::getpid());
  fs::remove(marker);
  std::atomic<bool> stop{false};
  ProcessOptions options;
  options.cancelled = [&] { return stop.load(); };
  std::thread later([&] {
    EXPECT_TRUE(comes_about([&] { return fs::exists(marker); }));
    stop = true;
  });
  const std::string told = marker.string() + ".new";
  const auto r = run_process(
      {"sh", "-c", "sleep 600 & echo $! > " + told + "; mv " + told + " " + marker.string() + "; wait"}, options);
  later.join();
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, "process.cancelled");
  const auto grandchild = static_cast<pid_t>(std::stol(must(read_text_file(marker))));
  EXPECT_TRUE(comes_about([&] { return !is_running(grandchild); })) << "a grandchild went on";
  fs::remove(marker);
}

TEST(Process, TimeoutEndsOneThatIgnoresTerm) {
  ProcessOptions options;
  options.timeout = 200ms;
  const auto r = run_process({"sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"}, options);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, "process.timeout");
}

TEST(Process, AGrandchildThatKeepsTheStreamsOpenDoesNotHoldUs) {
  const auto grandchild = static_cast<pid_t>(std::stol(shell("sleep 600 & echo $!").out));
  EXPECT_TRUE(is_running(grandchild)) << "it was waited for";
  ::kill(grandchild, SIGKILL);
}

TEST(Process, ADetachedOneGoesOnAndHoldsNothingOfOurs) {
  const fs::path marker = fs::temp_directory_path() / ("watra_detached_" + std::to_string(::getpid()));
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);  // inherited, were it not closed
  const fs::path word = marker.string() + ".go";
  fs::remove(word);
  ASSERT_TRUE(start_detached({"sh", "-c",
                              "i=0; while [ ! -e " + word.string() +
                                  " ] && [ $i -lt 6000 ]; do sleep 0.05; i=$((i+1)); done; touch " + marker.string() +
                                  "; sleep 1"}));
  EXPECT_FALSE(fs::exists(marker)) << "it was waited for";
  ::close(fds[1]);
  char byte;
  EXPECT_EQ(::read(fds[0], &byte, 1), 0) << "the child holds the other end";
  ::close(fds[0]);
  must(write_file_atomic(word, ""));
  EXPECT_TRUE(comes_about([&] { return fs::exists(marker); }));
  fs::remove(marker);
  fs::remove(word);
}

TEST(Process, ADetachedOneThatIsNotThereIsAnError) {
  EXPECT_EQ(start_detached({"watra-no-such-program"}).error().code, "process.not_found");
}

// A program started with its standard streams closed must not print into the next file it opens.
TEST(Process, ClosedStandardStreamsLeadNowhere) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    for (int fd : {0, 1, 2}) ::close(fd);
    open_standard_streams();
    const int next = ::open("/dev/null", O_RDONLY);
    const bool all_open = ::fcntl(0, F_GETFD) >= 0 && ::fcntl(1, F_GETFD) >= 0 && ::fcntl(2, F_GETFD) >= 0;
    ::_exit(next > 2 && all_open && ::write(1, "x", 1) == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(Process, WritingToNobodyIsAnError) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    outlive_closed_pipes();
    int fds[2];
    if (::pipe(fds) != 0) ::_exit(2);
    ::close(fds[0]);
    ::_exit(::write(fds[1], "x", 1) == -1 && errno == EPIPE ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace watra
