// One connection's HTTP: requests for files, answered one after another.
#pragma once

#include "web_root.h"

#include <chrono>
#include <coir.h>

/// **Parks.** Until the peer or the server has had enough: answers requests for what is below `files`, and echoes
/// WebSocket messages at /echo. A request has `patience` to come, and so has each wait for the peer to take some of a
/// file. Throws std::system_error when the peer goes away in the middle of an answer.
void converse(coir::net::stream& with, web_root const& files, std::chrono::duration<double> patience);
