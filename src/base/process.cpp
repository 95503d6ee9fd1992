#include "base/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace watra {
namespace {

using Clock = std::chrono::steady_clock;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  Descriptor read, write;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0)
    return fail("process.start", fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  return Pipe{Descriptor(fds[0]), Descriptor(fds[1])};
}

std::vector<std::string> merged_environment(const ProcessOptions& options) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const auto& [key, value] : options.environment) replaced = replaced || key == name;
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [key, value] : options.environment) merged.push_back(key + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

// The group first asked to end, then, half a second later, made to.
void end_group(pid_t pid) {
  ::kill(-pid, SIGTERM);
  for (int i = 0; i < 50; ++i) {
    if (::waitpid(pid, nullptr, WNOHANG) == pid) {
      ::kill(-pid, SIGKILL);  // grandchildren that outlived it
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ::kill(-pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void keep_last(std::string& text, size_t max_bytes) {
  if (text.size() > 2 * max_bytes) text.erase(0, text.size() - max_bytes);
}

// In the child, between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(char* const* argv, char* const* env, int null_fd, int out_fd, int err_fd, int report_fd,
                         pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int s : {SIGINT, SIGTERM, SIGPIPE}) ::sigaction(s, &plain, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(null_fd, STDIN_FILENO);
  ::dup2(out_fd, STDOUT_FILENO);
  ::dup2(err_fd, STDERR_FILENO);
  ::execvpe(argv[0], argv, env);
  const int err = errno;
  [[maybe_unused]] const auto written = ::write(report_fd, &err, sizeof err);
  ::_exit(127);
}

}  // namespace

Result<ProcessResult> run_process(const std::vector<std::string>& argv, const ProcessOptions& options) {
  if (argv.empty()) return fail("process.start", "no program was named");
  std::vector<std::string> arguments = argv, environment = merged_environment(options);
  const auto argument_pointers = pointers(arguments), environment_pointers = pointers(environment);
  WATRA_ASSIGN(Pipe out, make_pipe());
  WATRA_ASSIGN(Pipe err, make_pipe());
  WATRA_ASSIGN(Pipe report, make_pipe());
  Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail("process.start", fmt::format("cannot start {}: {}", argv[0], std::strerror(errno)));
  if (pid == 0)
    become(argument_pointers.data(), environment_pointers.data(), null.get(), out.write.get(), err.write.get(),
           report.write.get(), parent);
  ::setpgid(pid, pid);  // also here, so that it holds before the first kill
  out.write.close();
  err.write.close();
  report.write.close();

  int exec_error = 0;
  ssize_t n;
  while ((n = ::read(report.read.get(), &exec_error, sizeof exec_error)) < 0 && errno == EINTR) {
  }
  if (n == sizeof exec_error) {
    ::waitpid(pid, nullptr, 0);
    return fail(exec_error == ENOENT ? "process.not_found" : "process.start",
                fmt::format("cannot start {}: {}", argv[0], std::strerror(exec_error)));
  }

  ProcessResult result;
  const auto start = Clock::now();
  std::array<Descriptor*, 2> streams{&out.read, &err.read};
  std::array<std::string*, 2> texts{&result.out, &result.err};
  int wait_status = 0;
  bool exited = false;
  while (!exited || out.read.is_open() || err.read.is_open()) {
    if (options.cancelled && options.cancelled()) {
      if (!exited) end_group(pid);
      return fail("process.cancelled", fmt::format("{} was stopped", argv[0]));
    }
    if (options.timeout.count() > 0 && Clock::now() - start > options.timeout) {
      if (!exited) end_group(pid);
      return fail("process.timeout", fmt::format("{} did not end within {} ms", argv[0], options.timeout.count()));
    }
    if (options.tick) options.tick();
    std::array<pollfd, 2> polled{};
    for (size_t i = 0; i < 2; ++i) polled[i] = {streams[i]->get(), POLLIN, 0};
    // A closed stream is -1, which poll ignores. With both closed this is a plain wait for the exit.
    const bool streams_open = out.read.is_open() || err.read.is_open();
    ::poll(polled.data(), 2, exited ? 0 : streams_open ? 100 : 10);
    bool read_any = false;
    for (size_t i = 0; i < 2; ++i) {
      if (!(polled[i].revents & (POLLIN | POLLHUP | POLLERR))) continue;
      char buffer[1 << 14];
      const ssize_t got = ::read(streams[i]->get(), buffer, sizeof buffer);
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (got <= 0) {
        streams[i]->close();
        continue;
      }
      read_any = true;
      texts[i]->append(buffer, static_cast<size_t>(got));
      keep_last(*texts[i], options.max_output_bytes);
    }
    // After the exit only what already lies in the pipes is read: a grandchild may hold them open for ever.
    if (exited && !read_any) break;
    if (exited) continue;
    const pid_t waited = ::waitpid(pid, &wait_status, WNOHANG);
    exited = waited == pid || (waited < 0 && errno != EINTR);
    if (waited < 0 && exited) wait_status = 255 << 8;  // somebody ignores SIGCHLD: how it ended is lost
  }
  for (auto* text : texts)
    if (text->size() > options.max_output_bytes) text->erase(0, text->size() - options.max_output_bytes);
  result.exit_code = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  return result;
}

Status start_detached(const std::vector<std::string>& argv) {
  if (argv.empty()) return fail("process.start", "no program was named");
  std::vector<std::string> arguments = argv;
  const auto argument_pointers = pointers(arguments);
  WATRA_ASSIGN(Pipe report, make_pipe());
  Descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const pid_t pid = ::fork();
  if (pid < 0) return fail("process.start", fmt::format("cannot start {}: {}", argv[0], std::strerror(errno)));
  if (pid == 0) {
    // A child of a child, so that nobody has to wait for it. It inherits none of our sockets: they would stay open.
    ::setsid();
    ::close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    if (::fork() != 0) ::_exit(0);
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
    ::signal(SIGPIPE, SIG_DFL);
    ::execvp(argument_pointers[0], argument_pointers.data());
    const int error = errno;
    [[maybe_unused]] const auto written = ::write(report.write.get(), &error, sizeof error);
    ::_exit(127);
  }
  report.write.close();
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  int exec_error = 0;
  ssize_t n;
  while ((n = ::read(report.read.get(), &exec_error, sizeof exec_error)) < 0 && errno == EINTR) {
  }
  if (n != sizeof exec_error) return {};
  return fail(exec_error == ENOENT ? "process.not_found" : "process.start",
              fmt::format("cannot start {}: {}", argv[0], std::strerror(exec_error)));
}

void open_standard_streams() {
  int fd;
  while ((fd = ::open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO) {
  }
  if (fd >= 0) ::close(fd);
}

void outlive_closed_pipes() { ::signal(SIGPIPE, SIG_IGN); }

bool has_display() {
  for (const char* name : {"WAYLAND_DISPLAY", "DISPLAY"})
    if (const char* value = std::getenv(name); value && *value) return true;
  return false;
}

}  // namespace watra
