// http_server's connections, given any bytes in any pieces by a peer that may go away at any moment.
//
// An input is four bytes that say how the peer behaves, and what it sends.
#include "fuzz.h"
#include "samples/http_conversation.h"
#include "samples/web_root.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <coir.h>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <system_error>

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Outside of what is served.
constexpr std::string_view secret = "kept from everyone";

struct directory {
    fs::path where;

    directory() {
        std::string name = (fs::temp_directory_path() / "coir-fuzz-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
        where = name;
        fs::create_directories(served() / "sub");
        write(where / "secret", std::string(secret));
        write(served() / "small.html", "<p>small</p>");
        write(served() / "big.txt", std::string(100'000, 'b')); // more than goes out in one piece with its header
        write(served() / "sub" / "index.html", "index");
        fs::create_symlink("../secret", served() / "link");
    }
    ~directory() {
        std::error_code ignored;
        fs::remove_all(where, ignored);
    }
    directory(directory const&) = delete;
    directory& operator=(directory const&) = delete;

    fs::path served() const { return where / "served"; }

private:
    static void write(fs::path const& to, std::string const& what) {
        std::ofstream file(to);
        if (!(file << what).flush()) throw std::runtime_error("cannot write " + to.string());
    }
};

class peer final : public coir::net::stream {
public:
    explicit peer(std::span<std::uint8_t const> input) {
        if (input.size() < behaviour) return;
        piece_ = input[0] ? input[0] : input.size();
        then_ = input[1] % 3;
        takes_ = input[2] ? input[2] * std::size_t(16) : SIZE_MAX;
        gone_after_ = input[3] ? input[3] : SIZE_MAX;
        left_ = input.subspan(behaviour);
    }

    void shutdown_write(coir::deadline) override { expect(open_, "shutdown_write of a closed stream"); }
    void close() noexcept override { open_ = false; }
    bool is_open() const noexcept override { return open_; }
    coir::net::address const& peer_address() const noexcept override { return where_; }

    std::string received; // by the peer

private:
    static constexpr std::size_t behaviour = 4; // bytes

    std::size_t receive(std::span<iovec const> into, coir::deadline) override {
        if (left_.empty()) return end();
        std::size_t const most = std::min(piece_, left_.size());
        std::size_t got = 0;
        for (iovec const& part : into) {
            std::size_t const n = std::min(part.iov_len, most - got);
            std::memcpy(part.iov_base, left_.data() + got, n);
            got += n;
        }
        left_ = left_.subspan(got);
        return got;
    }
    std::size_t end() const {
        switch (then_) {
        case 0: return 0;
        case 1: fails("receive from", ECONNRESET);
        default: coir::sleep(5ms); return 0; // longer than the patience that it meets
        }
    }
    std::size_t send(std::span<iovec const> what, coir::deadline) override {
        if (gone_after_ == 0) fails("send to", EPIPE);
        if (gone_after_ != SIZE_MAX) --gone_after_;
        std::size_t sent = 0;
        for (iovec const& part : what) {
            std::size_t const n = std::min(part.iov_len, takes_ - sent);
            received.append(static_cast<char const*>(part.iov_base), n);
            sent += n;
        }
        return sent;
    }
    [[noreturn]] void fails(char const* what, int code) const {
        throw std::system_error(code, std::generic_category(), std::string(what) + " the fuzzer");
    }

    std::span<std::uint8_t const> left_;
    std::size_t piece_ = SIZE_MAX;      // bytes that come at once
    unsigned then_ = 0;                 // what comes after them: the end, a reset, silence
    std::size_t takes_ = SIZE_MAX;      // bytes of an answer at once
    std::size_t gone_after_ = SIZE_MAX; // so many sends
    bool open_ = true;
    coir::net::address const where_ = coir::net::address::ip("127.0.0.1", 1);
};

} // namespace

void run_input(std::span<std::uint8_t const> input) {
    static directory const world;
    static web_root const files(world.served());
    peer with(input);
    try {
        converse(with, files, 1ms);
    } catch (std::system_error const& gone) {
        expect(gone.code().value() == EPIPE || gone.code().value() == ECONNRESET, gone.what());
    }
    std::string const& said = with.received;
    expect(said.empty() || said.starts_with("HTTP/1."), "an answer that is none");
    if (!said.starts_with("HTTP/1.1 101 ")) // such a peer gets back what it sends
        expect(said.find(secret) == std::string::npos, "a file from outside of what is served");
}
