#include "tests/monkey/fixture.h"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/time.h>
#include <sys/un.h>
#include <vector>

namespace {

std::string pattern(std::size_t size) {
    std::string made(size, '\0');
    for (std::size_t i = 0; i < size; ++i) made[i] = char('a' + i * 7 % 26);
    return made;
}

void set_limit(int fd, int option, long microseconds) {
    timeval const limit{microseconds / 1'000'000, microseconds % 1'000'000};
    checked(setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit), "setsockopt");
}

} // namespace

TEST(socket, accept_waits_for_a_connection) {
    listener here;
    auto acceptor = coir::spawn([&] {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        int const made = accept(here.fd, reinterpret_cast<sockaddr*>(&peer), &size);
        EXPECT_EQ(peer.sin_family, AF_INET);
        return made;
    });
    until_parked(acceptor);
    int const client = here.connect();
    int const server = acceptor.get();
    ASSERT_GE(server, 0);
    EXPECT_EQ(fcntl(server, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(fcntl(here.fd, F_GETFL) & O_NONBLOCK, 0);
    close(server);
    close(client);
}

TEST(socket, accept4_passes_its_flags) {
    listener here;
    auto acceptor = coir::spawn([&] { return accept4(here.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); });
    int const client = here.connect();
    int const server = acceptor.get();
    EXPECT_NE(fcntl(server, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(server, F_GETFD) & FD_CLOEXEC, 0);
    char byte;
    EXPECT_EQ(recv(server, &byte, 1, 0), -1);
    EXPECT_EQ(errno, EAGAIN) << "a non-blocking socket does not wait";
    close(server);
    close(client);
}

TEST(socket, connect_reports_what_libc_would) {
    coir::hub::current();
    sockaddr_in nobody{};
    {
        listener gone;
        nobody = gone.address;
    }
    int const fd = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&nobody), sizeof nobody), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
    close(fd);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&nobody), sizeof nobody), -1);
    EXPECT_EQ(errno, EBADF);
}

class unix_listener : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(socket, unix_listener, testing::Values(SOCK_STREAM, SOCK_SEQPACKET));

// The backlog of a Unix listener is full, so a blocking connect waits until someone accepts.
TEST_P(unix_listener, connect_waits_without_blocking_the_thread) {
    int const type = GetParam();
    sockaddr_un name{};
    name.sun_family = AF_UNIX; // an abstract name, chosen by the kernel
    socklen_t size = sizeof(sa_family_t);
    int const server = socket(AF_UNIX, type, 0);
    ASSERT_EQ(bind(server, reinterpret_cast<sockaddr*>(&name), size), 0);
    ASSERT_EQ(listen(server, 0), 0);
    size = sizeof name;
    ASSERT_EQ(getsockname(server, reinterpret_cast<sockaddr*>(&name), &size), 0);
    std::vector<coir::fiber<int>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(coir::spawn([&] {
            int const fd = socket(AF_UNIX, type, 0);
            checked(connect(fd, reinterpret_cast<sockaddr*>(&name), size), "connect");
            return fd;
        }));
        if (i == 0)
            clients[0].join(); // takes the only place in the backlog
        else
            until_parked(clients.back());
    }
    for (auto& client : clients) {
        int const accepted = accept(server, nullptr, nullptr);
        ASSERT_GE(accepted, 0);
        close(client.get());
        close(accepted);
    }
    close(server);
}

TEST(socket, every_form_of_receive_waits_for_every_form_of_send) {
    auto const receive = [](int form, int fd, char* buffer, std::size_t size) -> ssize_t {
        iovec part{buffer, size};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        switch (form) {
        case 0: return recv(fd, buffer, size, 0);
        case 1: return recvfrom(fd, buffer, size, 0, nullptr, nullptr);
        default: return recvmsg(fd, &message, 0);
        }
    };
    auto const send_as = [](int form, int fd, std::string& text) -> ssize_t {
        iovec part{text.data(), text.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        switch (form) {
        case 0: return send(fd, text.data(), text.size(), 0);
        case 1: return sendto(fd, text.data(), text.size(), 0, nullptr, 0);
        default: return sendmsg(fd, &message, 0);
        }
    };
    for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
        for (int form = 0; form < 3; ++form) {
            auto ends = fd_pair::sockets(type);
            auto reader = coir::spawn([&] {
                char buffer[100];
                auto const n = receive(form, ends.first, buffer, sizeof buffer);
                return std::string(buffer, n > 0 ? std::size_t(n) : 0);
            });
            until_parked(reader);
            std::string text = "form " + std::to_string(form);
            EXPECT_EQ(send_as(form, ends.second, text), ssize_t(text.size()));
            EXPECT_EQ(reader.get(), text);
        }
}

TEST(socket, large_sends_of_every_form_go_out_whole) {
    std::string const sent = pattern(2'500'000);
    for (int form = 0; form < 3; ++form) {
        auto ends = fd_pair::sockets();
        auto writer = coir::spawn([&] {
            ssize_t n = -1;
            if (form == 0) n = send(ends.second, sent.data(), sent.size(), 0);
            if (form == 1) n = sendto(ends.second, sent.data(), sent.size(), MSG_NOSIGNAL, nullptr, 0);
            if (form == 2) {
                iovec parts[2] = {{const_cast<char*>(sent.data()), 10},
                                  {const_cast<char*>(sent.data()) + 10, sent.size() - 10}};
                msghdr message{};
                message.msg_iov = parts;
                message.msg_iovlen = 2;
                n = sendmsg(ends.second, &message, 0);
            }
            ends.close_second();
            return n;
        });
        std::string got;
        std::array<char, 7000> buffer;
        for (ssize_t n; (n = recv(ends.first, buffer.data(), buffer.size(), 0)) > 0;)
            got.append(buffer.data(), std::size_t(n));
        EXPECT_EQ(got, sent);
        EXPECT_EQ(writer.get(), ssize_t(sent.size()));
    }
}

TEST(socket, MSG_WAITALL_collects_all_of_it) {
    auto ends = fd_pair::sockets();
    auto reader = coir::spawn([&] {
        std::string got(10, '\0');
        EXPECT_EQ(recv(ends.first, got.data(), got.size(), MSG_WAITALL), 10);
        return got;
    });
    for (char const* piece : {"abc", "def", "ghij"}) {
        until_parked(reader);
        EXPECT_EQ(send(ends.second, piece, strlen(piece), 0), ssize_t(strlen(piece)));
    }
    EXPECT_EQ(reader.get(), "abcdefghij");
}

TEST(socket, MSG_WAITALL_ends_with_the_stream) {
    auto ends = fd_pair::sockets();
    auto reader = coir::spawn([&] {
        char buffer[10];
        return recv(ends.first, buffer, sizeof buffer, MSG_WAITALL);
    });
    EXPECT_EQ(send(ends.second, "abc", 3, 0), 3);
    until_parked(reader);
    EXPECT_EQ(shutdown(ends.second, SHUT_WR), 0);
    EXPECT_EQ(reader.get(), 3);
}

TEST(socket, MSG_PEEK_leaves_the_data_and_the_next_read_sees_it_at_once) {
    auto ends = fd_pair::sockets();
    coir::hub::current();
    EXPECT_EQ(send(ends.second, "abc", 3, 0), 3);
    char buffer[10];
    EXPECT_EQ(recv(ends.first, buffer, sizeof buffer, MSG_PEEK), 3);
    EXPECT_EQ(recv(ends.first, buffer, 2, 0), 2);
    EXPECT_EQ(recv(ends.first, buffer, 2, 0), 1);
}

TEST(socket, MSG_DONTWAIT_does_not_wait) {
    auto ends = fd_pair::sockets();
    coir::hub::current();
    char byte;
    EXPECT_EQ(recv(ends.first, &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST(socket, SO_RCVTIMEO_and_SO_SNDTIMEO_end_the_wait) {
    auto ends = fd_pair::sockets();
    coir::hub::current();
    set_limit(ends.first, SO_RCVTIMEO, 2'000);
    char byte;
    EXPECT_EQ(recv(ends.first, &byte, 1, 0), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(read(ends.first, &byte, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
    set_limit(ends.second, SO_SNDTIMEO, 2'000);
    std::string const much = pattern(4'000'000);
    auto const n = send(ends.second, much.data(), much.size(), 0);
    EXPECT_GT(n, 0) << "what was sent before the limit counts";
    EXPECT_LT(n, ssize_t(much.size()));
    EXPECT_EQ(send(ends.second, much.data(), much.size(), 0), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST(socket, shutdown_wakes_the_receiver) {
    auto ends = fd_pair::sockets();
    auto reader = coir::spawn([&] {
        char byte;
        return recv(ends.first, &byte, 1, 0);
    });
    until_parked(reader);
    EXPECT_EQ(shutdown(ends.first, SHUT_RDWR), 0);
    EXPECT_EQ(reader.get(), 0);
}

TEST(socket, control_messages_pass) {
    auto ends = fd_pair::sockets();
    auto passed = fd_pair::pipe();
    auto reader = coir::spawn([&] {
        char byte;
        iovec part{&byte, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        EXPECT_EQ(recvmsg(ends.first, &message, 0), 1);
        int fd = -1;
        if (cmsghdr* first = CMSG_FIRSTHDR(&message)) memcpy(&fd, CMSG_DATA(first), sizeof fd);
        return fd;
    });
    until_parked(reader);
    char byte = 'x';
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const first = CMSG_FIRSTHDR(&message);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(first), &passed.second, sizeof(int));
    EXPECT_EQ(sendmsg(ends.second, &message, 0), 1);
    int const got = reader.get();
    ASSERT_GE(got, 0);
    EXPECT_EQ(write(got, "y", 1), 1);
    EXPECT_EQ(read(passed.first, &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    close(got);
}

TEST(socket, a_socket_closed_by_a_thread_without_a_hub_wakes_the_receiver) {
    auto ends = fd_pair::sockets();
    auto reader = coir::spawn([&] {
        char byte;
        auto const n = recv(ends.first, &byte, 1, 0);
        return std::pair(n, errno);
    });
    until_parked(reader);
    coir::offload([&] { ends.close_first(); });
    EXPECT_EQ(reader.get(), std::pair(ssize_t(-1), EBADF));
}

TEST(socket, a_number_closed_elsewhere_and_used_again_is_waited_for_as_what_it_is_now) {
    auto ends = fd_pair::sockets();
    auto const read_one = [](int fd) {
        char byte = 0;
        return read(fd, &byte, 1) == 1 ? byte : '?';
    };
    auto reader = coir::spawn(read_one, ends.first); // leaves a watcher on the number
    until_parked(reader);
    EXPECT_EQ(write(ends.second, "1", 1), 1);
    EXPECT_EQ(reader.get(), '1');
    auto other = fd_pair::pipe();
    coir::offload([&] { EXPECT_EQ(dup2(other.first, ends.first), ends.first); });
    auto again = coir::spawn(read_one, ends.first);
    until_parked(again);
    EXPECT_EQ(write(other.second, "2", 1), 1);
    EXPECT_EQ(again.get(), '2');
}

TEST(socket, sending_to_a_full_Unix_socket_does_not_spin) {
    int const receiver = checked(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
    int const sender = checked(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    socklen_t size = sizeof where.sun_family; // the kernel chooses a name
    checked(bind(receiver, reinterpret_cast<sockaddr*>(&where), size), "bind");
    size = sizeof where;
    checked(getsockname(receiver, reinterpret_cast<sockaddr*>(&where), &size), "getsockname");
    auto const send_one = [&](int flags) {
        return sendto(sender, "x", 1, flags, reinterpret_cast<sockaddr*>(&where), size);
    };
    while (send_one(MSG_DONTWAIT) == 1) {}
    auto wakes = coir::spawn([&] {
        std::uint32_t const before = coir::context::current().epoch;
        EXPECT_EQ(send_one(0), 1);
        return coir::context::current().epoch - before;
    });
    until_parked(wakes);
    usleep(30'000); // in which it would be woken some ten thousand times
    char byte;
    EXPECT_EQ(recv(receiver, &byte, 1, 0), 1);
    EXPECT_LT(wakes.get(), 1000u);
    close(receiver);
    close(sender);
}

TEST(socket, accept_on_what_does_not_listen_is_an_error_at_once) {
    listener here;
    int const client = here.connect();
    coir::spawn([&] {
        EXPECT_EQ(accept(client, nullptr, nullptr), -1);
        EXPECT_EQ(errno, EINVAL);
        int const fresh = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
        EXPECT_EQ(accept(fresh, nullptr, nullptr), -1);
        EXPECT_EQ(errno, EINVAL);
        close(fresh);
    }).join();
    close(client);
}

TEST(socket, a_refused_connection_leaves_the_socket_as_it_was) {
    sockaddr_in gone;
    {
        listener const here;
        gone = here.address;
    }
    coir::spawn([&] {
        int const fd = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
        EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&gone), sizeof gone), -1);
        EXPECT_EQ(errno, ECONNREFUSED);
        char byte;
        EXPECT_EQ(recv(fd, &byte, 1, 0), -1);
        EXPECT_EQ(errno, ENOTCONN);
        listener const here;
        EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr const*>(&here.address), sizeof here.address), 0);
        close(fd);
    }).join();
}

TEST(socket, a_timeout_of_connect_to_a_Unix_socket_is_EAGAIN) {
    char path[] = "/tmp/coir-socket-test-XXXXXX";
    ASSERT_TRUE(mkdtemp(path));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (std::string(path) + "/full").c_str());
    auto const* const to = reinterpret_cast<sockaddr const*>(&address);
    int const full = checked(::socket(AF_UNIX, SOCK_STREAM, 0), "socket");
    checked(bind(full, to, sizeof address), "bind");
    checked(listen(full, 0), "listen");
    coir::spawn([&] {
        int const fits = checked(::socket(AF_UNIX, SOCK_STREAM, 0), "socket");
        int const waits = checked(::socket(AF_UNIX, SOCK_STREAM, 0), "socket");
        set_limit(waits, SO_SNDTIMEO, 10'000);
        EXPECT_EQ(connect(fits, to, sizeof address), 0);
        EXPECT_EQ(connect(waits, to, sizeof address), -1);
        EXPECT_EQ(errno, EAGAIN);
        close(fits);
        close(waits);
    }).join();
    close(full);
    unlink(address.sun_path);
    rmdir(path);
}

TEST(socket, connecting_again_waits_for_the_connection_under_way) {
    listener const full;
    checked(listen(full.fd, 0), "listen");
    int const first = full.connect();
    auto const* const to = reinterpret_cast<sockaddr const*>(&full.address);
    int const made = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
    EXPECT_EQ(connect(made, to, sizeof full.address), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    checked(fcntl(made, F_SETFL, 0), "F_SETFL");
    auto again = coir::spawn([&] { return connect(made, to, sizeof full.address); });
    until_parked(again);
    int const taken = checked(accept(full.fd, nullptr, nullptr), "accept");
    EXPECT_EQ(again.get(), 0);
    EXPECT_EQ(connect(made, to, sizeof full.address), -1);
    EXPECT_EQ(errno, EISCONN);
    for (int fd : {first, made, taken}) close(fd);
}

TEST(socket, MSG_FASTOPEN_waits_for_the_connection) {
    listener const listening;
    EXPECT_EQ(coir::spawn([&] {
                  int const made = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
                  ssize_t const sent =
                      sendto(made, "hello", 5, MSG_FASTOPEN, reinterpret_cast<sockaddr const*>(&listening.address),
                             sizeof listening.address);
                  close(made);
                  return sent;
              }).get(),
              5);
}

TEST(socket, MSG_WAITALL_waits_with_room_for_more_than_bytes_too) {
    auto const ends = fd_pair::sockets();
    char bytes[10], room[100];
    iovec part{bytes, sizeof bytes};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    message.msg_flags = -1;
    auto reader = coir::spawn([&] { return recvmsg(ends.first, &message, MSG_WAITALL); });
    EXPECT_EQ(write(ends.second, "first", 5), 5);
    until_parked(reader);
    EXPECT_EQ(write(ends.second, "other", 5), 5);
    EXPECT_EQ(reader.get(), 10);
    EXPECT_EQ(message.msg_controllen, 0u);
    EXPECT_EQ(message.msg_flags, 0);
}

TEST(socket, a_header_that_is_no_memory_is_EFAULT) {
    auto const ends = fd_pair::sockets();
    coir::hub::current();
    msghdr* volatile nowhere = nullptr;
    EXPECT_EQ(sendmsg(ends.first, nowhere, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(recvmsg(ends.first, nowhere, 0), -1);
    EXPECT_EQ(errno, EFAULT);
}

// What was sent has not arrived while the reader's buffer is full.
TEST(socket, close_of_one_that_lingers_lets_others_run) {
    listener const server;
    int const out = server.connect(), in = checked(accept(server.fd, nullptr, nullptr), "accept");
    linger const how{1, 60};
    ASSERT_EQ(setsockopt(out, SOL_SOCKET, SO_LINGER, &how, sizeof how), 0);
    std::string const much(1 << 20, 'x');
    std::size_t sent = 0;
    for (ssize_t part; (part = send(out, much.data(), much.size(), MSG_DONTWAIT)) > 0;) sent += std::size_t(part);
    auto closer = coir::spawn([&] { return close(out); });
    until_parked(closer);
    std::size_t received = 0;
    char part[65536];
    for (ssize_t got; (got = read(in, part, sizeof part)) > 0;) received += std::size_t(got);
    EXPECT_EQ(received, sent);
    EXPECT_EQ(closer.get(), 0);
    close(in);
}
