#include "base/terminal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/file.h"

namespace watra {
namespace {

using Unit = ProgressBar::Unit;
constexpr uint64_t kMiB = 1 << 20;

TEST(ProgressLine, NamesPercentBytesRateAndTimeLeft) {
  const std::string line = progress_line("smollm2", 40 * kMiB, 100 * kMiB, 10.0 * kMiB, Unit::bytes, 100);
  EXPECT_NE(line.find("smollm2"), std::string::npos) << line;
  EXPECT_NE(line.find("40 %"), std::string::npos) << line;
  EXPECT_NE(line.find("40.0 MiB / 100 MiB"), std::string::npos) << line;
  EXPECT_NE(line.find("10.0 MiB/s"), std::string::npos) << line;
  EXPECT_NE(line.find("0:06"), std::string::npos) << line;
  EXPECT_NE(line.find("[==="), std::string::npos) << line;
}

TEST(ProgressLine, NeverWiderThanTheTerminal) {
  const std::string name =
      "za\xC5\xBC\xC3\xB3\xC5\x82\xC4\x87-g\xC4\x99\xC5\x9Bl\xC4\x85-ja\xC5\xBA\xC5\x84-00001-of-00042.gguf";
  for (int width = 8; width < 160; ++width) {
    const std::string line = progress_line(name, 123456789, 987654321, 3e6, Unit::bytes, width);
    int columns = 0;
    for (const char c : line) columns += (c & 0xC0) != 0x80;
    EXPECT_LE(columns, width) << line;
  }
}

TEST(ProgressLine, HundredPercentOnlyAtTheEnd) {
  EXPECT_NE(progress_line("x", 9999, 10000, 0, Unit::items, 80).find(" 99 %"), std::string::npos);
  EXPECT_NE(progress_line("x", 10000, 10000, 0, Unit::items, 80).find("100 %"), std::string::npos);
}

TEST(ProgressLine, WithoutATotalThereIsNoPercentage) {
  const std::string line = progress_line("x", 5 * kMiB, 0, 1.0 * kMiB, Unit::bytes, 80);
  EXPECT_EQ(line.find('%'), std::string::npos) << line;
  EXPECT_NE(line.find("5.0 MiB"), std::string::npos) << line;
}

TEST(FormatDuration, MinutesAndHours) {
  EXPECT_EQ(format_duration(5), "0:05");
  EXPECT_EQ(format_duration(760), "12:40");
  EXPECT_EQ(format_duration(3 * 3600 + 131), "3:02:11");
  EXPECT_EQ(format_duration(-1), "-:--");
  EXPECT_EQ(format_duration(1e12), "-:--");
}

// In a process of its own: standard input is replaced.
TEST(StandardInput, ASilentPipeIsNotReadyOneWithTextOrItsEndIs) {
  EXPECT_EXIT(
      {
        using std::chrono::milliseconds;
        int ends[2];
        if (pipe(ends) != 0 || dup2(ends[0], STDIN_FILENO) != STDIN_FILENO) _exit(1);
        if (stdin_is_terminal() || stdin_is_ready(milliseconds(20))) _exit(2);
        if (write(ends[1], "text", 4) != 4 || !stdin_is_ready(milliseconds(0))) _exit(3);
        close(ends[1]);
        const auto text = read_standard_input();
        if (!text || *text != "text" || !stdin_is_ready(milliseconds(0))) _exit(4);
        close(STDIN_FILENO);
        _exit(stdin_is_ready(milliseconds(0)) || read_standard_input() ? 5 : 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(InterruptFlag, TheFirstIsAFlagAndTheSecondEnds) {
  EXPECT_EXIT(
      {
        InterruptFlag flag;
        if (flag.raised()) _exit(1);
        raise(SIGINT);
        if (!flag.raised()) _exit(2);
        flag.clear();
        if (flag.raised()) _exit(3);
        raise(SIGINT);
        if (!flag.raised()) _exit(4);
        raise(SIGINT);
        _exit(5);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace watra
