// What select() chooses among: a case can be tried, and queued until something happens. The primitives make them:
// event::on_set, queue::on_get, … A case lies with the caller of select() and is used for that call only.
#pragma once

#include "hub/deadline.h"
#include "hub/source.h"

#include <mutex>

namespace coir {

/// One of the things that select() chooses among. A primitive derives its cases from this; select() alone calls them,
/// in the fiber that selects.
class COIR_API select_case {
public:
    /// Does it, true, if that is possible without waiting.
    virtual bool try_now() = 0;
    /// Queues `one`, and grants it if it is possible by now: `one.group` says whether it is still wanted. It is in no
    /// queue if this throws, which select() then does, unless another case has happened meanwhile.
    virtual void queue(waiter& one) = 0;
    /// Takes `one` out of its queue, unless that has been done by granting it.
    virtual void leave(waiter& one) noexcept = 0;
    /// It was chosen after having been queued. May throw what try_now() would.
    virtual void complete() {}
    /// Until when select() waits for it, after which it happens.
    virtual deadline until() const noexcept { return {}; }
    /// It happens when no other can at once.
    virtual bool is_default() const noexcept { return false; }
    /// What is waited for, a literal, for reports.
    virtual char const* what() const noexcept = 0;

protected:
    ~select_case() = default;
};

/// A case: something is ready, and stays so.
class COIR_API source_case final : public select_case {
public:
    /// `of` must outlive it. `what`, a literal, is for reports.
    source_case(source& of, char const* what) noexcept : of_(of), what_(what) {}

    bool try_now() override;
    void queue(waiter& one) override;
    void leave(waiter& one) noexcept override;
    char const* what() const noexcept override { return what_; }

private:
    source& of_;
    char const* what_;
};

} // namespace coir
