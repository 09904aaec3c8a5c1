// The owner of a receiver (hub/receiver.h), without the rest of it.
#pragma once

#include "fiber/export.h"

#include <memory>

namespace coir {

/// @cond internal

class receiver;

/// Ends it, as receiver::stop(); what came is dropped.
struct COIR_API receiver_closer {
    void operator()(receiver* one) const noexcept;
};
using receiver_handle = std::unique_ptr<receiver, receiver_closer>;

/// @endcond

} // namespace coir
