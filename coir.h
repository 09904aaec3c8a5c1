// All of coir's public interface but TLS, which is in a library of its own (net/tls.h), and what is for Asio
// (net/asio.h). What is said in its comments, once for all of them:
//
// * **Parks**: other fibers of the thread may run before the call returns. If the thread has no hub, one is made then,
//   and what hub::current() throws is thrown. In a hub's own callback (a rawlink, the function of a watcher), where
//   nothing can wait, it throws std::logic_error.
// * What interrupts the caller: what it is killed with, fiber_exit unless the killer said otherwise; and timed_out, or
//   what else one of its timeouts throws.
// * A deadline is a duration, counted from the call, or a moment of the steady clock; never, if it is left out.
// * Any thread: with or without a hub, and at the same time as others, as long as nobody destroys or assigns to what
//   they use. A class says it for all of its members.
// * What allocates may throw std::bad_alloc.
#pragma once

#include "fiber/generator.h"
#include "fiber/greenlet.h"
#include "fiber/stack.h"
#include "hub/async_result.h"
#include "hub/barrier.h"
#include "hub/channel.h"
#include "hub/condition.h"
#include "hub/deadline.h"
#include "hub/event.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/local.h"
#include "hub/mutex.h"
#include "hub/offload.h"
#include "hub/pool.h"
#include "hub/queue.h"
#include "hub/select.h"
#include "hub/semaphore.h"
#include "hub/thread_pool.h"
#include "hub/timeout.h"
#include "hub/wait.h"
#include "hub/watchers.h"
#include "net/address.h"
#include "net/buffered.h"
#include "net/connect.h"
#include "net/copy.h"
#include "net/cores.h"
#include "net/datagram.h"
#include "net/datagram_server.h"
#include "net/descriptor.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "net/send_file.h"
#include "net/server.h"
#include "net/socket.h"
#include "net/socket_stream.h"
#include "net/stream.h"
#include "net/stream_server.h"
#include "net/tcp.h"
#include "net/unix.h"
