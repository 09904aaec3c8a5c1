// All of coir's public interface.
#pragma once

#include "fiber/greenlet.h"
#include "fiber/stack.h"
#include "hub/deadline.h"
#include "hub/fiber.h"
#include "hub/hub.h"
#include "hub/offload.h"
#include "net/address.h"
#include "net/socket.h"
#include "net/tcp.h"
