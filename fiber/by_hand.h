// Switching by hand, below the checks: what greenlets and generators share. Internal.
#pragma once

#include "fiber/context.h"
#include "fiber/value.h"

#include <exception>

namespace coir::detail {

/// Switches from the running context, `self`, to `target`, which is fresh or suspended, is of this thread and gets
/// `carried`, or `error` if there is one (not if it is fresh). Returns what the next switch back brings, or throws it.
/// `origin` is whom a trace callback is told of instead of `self`.
value switch_by_hand(context& self, context& target, value carried, std::exception_ptr error,
                     context* origin = nullptr);

/// Ends a fresh greenlet that will never run. It holds no reference to itself: nobody ran on its stack.
void end_unstarted(context& fresh) noexcept;

} // namespace coir::detail
