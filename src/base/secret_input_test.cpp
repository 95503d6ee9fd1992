#include "base/secret_input.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace watra {
namespace {

class SecretInput : public testing::Test {
 protected:
  // A child at a terminal of its own, which asks for a secret and ends with 0 when it was "halny", 3 when there was
  // none.
  void SetUp() override {
    child_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    ASSERT_GE(child_, 0);
    if (child_ != 0) return;
    const auto secret = read_unseen("secret: ");
    ::_exit(!secret ? 3 : *secret == "halny" ? 0 : 4);
  }
  void TearDown() override {
    ::kill(child_, SIGKILL);
    ::close(terminal_);
  }
  bool echoes() const {
    termios now{};
    return ::tcgetattr(terminal_, &now) == 0 && (now.c_lflag & ECHO) != 0;
  }
  void until_unseen() const {
    for (int i = 0; i < 1000 && echoes(); ++i) ::usleep(5000);
    ASSERT_FALSE(echoes());
  }
  int ended() const {
    int status = 0;
    return ::waitpid(child_, &status, 0) == child_ && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void type(std::string_view text) const {
    ASSERT_EQ(::write(terminal_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  int terminal_ = -1;
  pid_t child_ = -1;
};

TEST_F(SecretInput, IsReadWithoutBeingShown) {
  until_unseen();
  type("halny\n");
  EXPECT_EQ(ended(), 0);
}

TEST_F(SecretInput, CtrlCLeavesTheTerminalAsItWas) {
  until_unseen();
  type("\x03");
  for (int i = 0; i < 1000 && !echoes(); ++i) ::usleep(5000);
  EXPECT_TRUE(echoes());
  EXPECT_EQ(ended(), 3);
}

}  // namespace
}  // namespace watra
