#include "hub/receiver.h"

#include "hub/hub.h"
#include "hub/scheduler.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <utility>

namespace coir {
namespace {

constexpr unsigned most_held = 64;       // buffers that nobody reads: then the peer is to wait
constexpr unsigned kept_for_others = 64; // free ones: who begins when there are fewer would only meet ENOBUFS

constexpr int group_of_buffers = 0;

void* new_pages(std::size_t size) noexcept {
    void* const made = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return made == MAP_FAILED ? nullptr : made;
}

} // namespace

std::shared_ptr<receive_buffers> receive_buffers::make(ring& of, io_uring& raw) noexcept try {
    std::shared_ptr<receive_buffers> made(new receive_buffers);
    made->receivers_.next = made->receivers_.previous = &made->receivers_;
    made->shared_ = static_cast<io_uring_buf_ring*>(new_pages(count * sizeof(io_uring_buf)));
    made->memory_ = static_cast<std::byte*>(new_pages(count * stride));
    if (!made->shared_ || !made->memory_) return nullptr;
    io_uring_buf_reg about{};
    about.ring_addr = reinterpret_cast<std::uintptr_t>(made->shared_);
    about.ring_entries = count;
    about.bgid = group_of_buffers;
    if (io_uring_register_buf_ring(&raw, &about, 0) != 0) return nullptr;
    io_uring_buf_ring_init(made->shared_);
    made->owner_ = &of;
    for (unsigned id = 0; id < count; ++id) made->give_back(id);
    return made;
} catch (std::bad_alloc const&) {
    return nullptr;
}

receive_buffers::~receive_buffers() {
    if (shared_) munmap(shared_, count * sizeof(io_uring_buf));
    if (memory_) munmap(memory_, count * stride);
}

void receive_buffers::give_back(unsigned id) noexcept {
    ++free_;
    if (!owner_) return;
    io_uring_buf_ring_add(shared_, at(id), size, std::uint16_t(id), io_uring_buf_ring_mask(count), 0);
    io_uring_buf_ring_advance(shared_, 1);
}

void receive_buffers::stop_all() noexcept {
    for (queue_place* each = receivers_.next; each != &receivers_; each = each->next)
        static_cast<receiver&>(*each).stop();
}

void receive_buffers::ring_goes() noexcept {
    owner_ = nullptr;
    while (receivers_.next != &receivers_) {
        receiver& each = static_cast<receiver&>(*receivers_.next);
        each.unlink();
        each.receiving_ = false;
    }
}

struct receiver::reader : waiter {
    receiver* of;
    reader(context& self, receiver& from) noexcept : waiter(self), of(&from) {}
};

receiver_handle receiver::make(int fd) {
    ring* const kernels = ring::here();
    if (!kernels || !kernels->buffers()) return nullptr;
    return receiver_handle(new receiver(fd, kernels->buffers()));
}

receiver::receiver(int fd, std::shared_ptr<receive_buffers> const& into) noexcept : buffers_(into), fd_(fd) {
    next = &into->receivers_;
    previous = into->receivers_.previous;
    previous->next = next->previous = this;
}

// What the kernel still refers to stays.
void receiver_closer::operator()(receiver* one) const noexcept {
    one->stop();
    if (!one->receiving_) delete one;
}

receiver::~receiver() {
    while (held_ > 0) drop_first();
    if (queued()) unlink();
}

void receiver::drop_first() noexcept {
    receive_buffers::filled const& one = buffers_->filled_[first_];
    held_ -= one.size - std::size_t{std::exchange(taken_, std::uint16_t{0})};
    --buffers_held_;
    buffers_->give_back(std::exchange(first_, one.next));
}

ssize_t receiver::take(std::span<iovec const> into) noexcept {
    std::size_t all = 0;
    for (iovec const& part : into) {
        auto* const to = static_cast<std::byte*>(part.iov_base);
        for (std::size_t had = 0; had < part.iov_len && held_ > 0;) {
            std::size_t const there = buffers_->filled_[first_].size - std::size_t{taken_};
            std::size_t const now = std::min(there, part.iov_len - had);
            std::memcpy(to + had, buffers_->at(first_) + taken_, now);
            had += now;
            all += now;
            if (now == there) {
                drop_first();
            } else {
                taken_ = std::uint16_t(taken_ + now);
                held_ -= now;
            }
        }
    }
    if (all > 0 || held_ > 0) return ssize_t(all); // nothing was asked for
    errno = error_ ? std::exchange(error_, 0) : EAGAIN;
    return -1;
}

// While few buffers are free a socket is waited for as any other.
wake_reason receiver::wait(deadline until) {
    if (!receiving_ && !begin()) return hub::wait_fd(fd_, direction::read, until, closing::seen);
    context& self = fiber_that_waits();
    hub& home = hub::current();
    counting const one_more(home, home.receiving());
    reader mine(self, *this);
    reader_ = &mine;
    wake_reason const why = park(self, "data from fd", fd_, until);
    if (mine.of) mine.of->reader_ = nullptr;
    return why;
}

bool receiver::begin() noexcept {
    ring* const kernels = buffers_->owner();
    if (!kernels || stopped_ || buffers_->free() < kept_for_others) return false;
    io_uring_sqe entry{};
    io_uring_prep_recv_multishot(&entry, fd_, nullptr, 0, 0);
    entry.ioprio |= IORING_RECVSEND_POLL_FIRST; // there was nothing just now
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.buf_group = group_of_buffers;
    receiving_ = kernels->enqueue(entry, this);
    return receiving_;
}

void receiver::end() noexcept {
    if (std::exchange(ending_, true)) return;
    io_uring_sqe cancel{};
    io_uring_prep_cancel(&cancel, static_cast<ring::request*>(this), 0);
    while (!buffers_->owner()->enqueue(cancel, nullptr)) buffers_->owner()->run();
}

void receiver::append(unsigned id, std::uint16_t size) noexcept {
    buffers_->filled_[id].size = size;
    (held_ > 0 ? buffers_->filled_[last_].next : first_) = std::uint16_t(id);
    last_ = std::uint16_t(id);
    held_ += size;
    ++buffers_held_;
}

void receiver::completed(int result, unsigned flags) noexcept {
    if (!(flags & IORING_CQE_F_MORE)) receiving_ = ending_ = false;
    if (flags & IORING_CQE_F_BUFFER) {
        unsigned const id = flags >> IORING_CQE_BUFFER_SHIFT;
        --buffers_->free_;
        if (result > 0)
            append(id, std::uint16_t(result));
        else
            buffers_->give_back(id);
    }
    // The end of the stream the socket tells again; what went wrong, only once. The rest is no word of the peer's.
    bool const is_error = result < 0 && result != -ENOBUFS && result != -ECANCELED && result != -EINTR;
    if (is_error) error_ = -result;
    if (reader_) wake(*reader_, wake_reason::ready);
    if (receiving_ && buffers_held_ > most_held) end();
}

void receiver::leave() noexcept {
    if (!reader_) return;
    reader_->of = nullptr;
    wake(*std::exchange(reader_, nullptr), wake_reason::closed);
}

void receiver::stop() noexcept {
    leave();
    stopped_ = true;
    if (!receiving_ || &buffers_->owner()->home() != hub::existing()) return;
    end();
    while (receiving_) buffers_->owner()->run();
}

} // namespace coir
