// A TCP connection that is being made: what tcp_stream::connect and connect() share. Internal; for the socket's thread.
#pragma once

#include "net/address.h"
#include "net/socket.h"
#include "net/tcp.h"

namespace coir::net {

/// As a system call: 0, or -1 and errno, which is EAGAIN until the outcome is known.
int try_connect(int fd, address const& peer) noexcept;

/// The stream of a socket of which that was the outcome. Throws std::system_error(ECONNREFUSED) if it is connected to
/// itself.
tcp_stream connected_stream(socket made);

} // namespace coir::net
