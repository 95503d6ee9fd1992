#include "base/fault.h"
#include "base/internal/read_backend.h"

#ifdef WATRA_HAVE_URING
#include <liburing.h>

#include <cerrno>
#endif

namespace watra::internal {

#ifdef WATRA_HAVE_URING

namespace {

class UringBackend final : public ReadBackend {
 public:
  ~UringBackend() override {
    if (ready_) io_uring_queue_exit(&ring_);
  }

  // Also carries a no-op through: a sandbox may allow the ring to be made and forbid its use.
  bool set_up(int depth) {
    if (io_uring_queue_init(static_cast<unsigned>(depth), &ring_, 0) != 0) return false;
    ready_ = true;
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (!sqe) return false;
    io_uring_prep_nop(sqe);
    io_uring_cqe* cqe = nullptr;
    if (io_uring_submit_and_wait(&ring_, 1) != 1 || io_uring_peek_cqe(&ring_, &cqe) != 0 || cqe->res != 0) return false;
    io_uring_cqe_seen(&ring_, cqe);
    return true;
  }

  int start(const BackendRead& read) override {
    // Never null: at most `depth` are in flight, and what was refused before leaves its entry to this one.
    io_uring_sqe* sqe = unsent_ ? unsent_ : io_uring_get_sqe(&ring_);
    io_uring_prep_read(sqe, read.fd, read.to, static_cast<unsigned>(read.n_bytes), read.offset);
    io_uring_sqe_set_data64(sqe, static_cast<uint64_t>(read.slot));
    int n;
    while ((n = fault::hit("uring.submit") ? -EAGAIN : io_uring_submit(&ring_)) == -EINTR) {
    }
    // Whether the system took the entry is told by the ring alone. One that it did not take stays in the ring and would
    // go with the next one, into memory that is somebody else's by then: the next read is written over it.
    unsent_ = io_uring_sq_ready(&ring_) > 0 ? sqe : nullptr;
    if (!unsent_) return 0;
    return n < 0 ? -n : EAGAIN;
  }

  // Submission and completion are two rings: start() does not touch what these read.
  Done wait() override {
    io_uring_cqe* cqe = nullptr;
    while (io_uring_wait_cqe(&ring_, &cqe) != 0) {  // interrupted
    }
    return taken(cqe);
  }

  std::optional<Done> poll() override {
    io_uring_cqe* cqe = nullptr;
    if (io_uring_peek_cqe(&ring_, &cqe) != 0) return {};
    return taken(cqe);
  }

  std::string_view name() const override { return "io_uring"; }

 private:
  Done taken(io_uring_cqe* cqe) {
    const Done done{static_cast<int>(io_uring_cqe_get_data64(cqe)), cqe->res};
    io_uring_cqe_seen(&ring_, cqe);
    return done;
  }

  io_uring ring_{};
  io_uring_sqe* unsent_ = nullptr;  // prepared, and not taken by the system
  bool ready_ = false;
};

}  // namespace

std::unique_ptr<ReadBackend> make_uring_backend(int depth) {
  auto backend = std::make_unique<UringBackend>();
  if (fault::hit("uring.setup") || !backend->set_up(depth)) return nullptr;
  return backend;
}

#else

std::unique_ptr<ReadBackend> make_uring_backend(int) { return nullptr; }

#endif

}  // namespace watra::internal
