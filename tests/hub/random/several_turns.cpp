// Turns that wait for several things at once.

#include "tests/hub/random/turns.h"

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace turns {

// Cases of select(), and what is to be done when each is chosen.
class choices {
public:
    template <class Case>
    void add(Case one, std::function<void()> then) {
        auto const kept = std::make_shared<Case>(std::move(one));
        cases_.push_back(kept.get());
        kept_.push_back(kept);
        then_.push_back(std::move(then));
    }
    std::span<coir::select_case* const> cases() const noexcept { return cases_; }
    void chosen(std::size_t which) { then_[which](); }

private:
    std::vector<coir::select_case*> cases_;
    std::vector<std::shared_ptr<void>> kept_;
    std::vector<std::function<void()>> then_;
};

void choose(world& in, player& me) {
    choices all;
    std::deque<item> got;
    auto const add_get = [&](auto& from) {
        item& to = got.emplace_back();
        all.add(from.of.on_get(to), [&] { left(in, from, to); });
    };
    auto const add_put = [&](auto& to) {
        if (!to.books.can_make()) return;
        item one = to.books.made(int(me.roll.below(4)));
        int const number = one.number, rank = one.rank;
        all.add(to.of.on_put(std::move(one)), [&in, &to, number, rank] { entered(in, to, number, rank); });
    };
    for (auto left_to_add = 1 + me.roll.below(4); left_to_add > 0; --left_to_add) {
        switch (me.roll.below(9)) {
        case 0: with_some_queue(in, me, add_get); break;
        case 1: with_some_queue(in, me, add_put); break;
        case 2: add_get(in.exchange); break;
        case 3: add_put(in.exchange); break;
        case 4: all.add(me.roll.one_of(in.events).on_set(), [] {}); break;
        case 5:
            all.add(in.permits.on_acquire(), [&] {
                in.permits_taken++;
                in.permits_taken--;
                in.permits.release();
            });
            break;
        case 6: {
            player const& other = somebody(in, me);
            if (&other == &me || !other.self) break;
            coir::any_fiber const handle = other.self;
            all.add(handle.on_end(),
                    [&in, handle] { in.check(handle.ready(), "select() saw the end of a fiber that has not ended"); });
            break;
        }
        case 7:
            if (int const fd = me.roll.one_of(in.conduits).ends[0]; fd >= 0)
                all.add(coir::on_readable(fd, coir::closing::seen), [] {});
            break;
        default: all.add(me.roll.one_of(in.answers).on_set(), [] {});
        }
    }
    deadline const until = soon_or_never(in, me.roll);
    if (me.roll.chance(10)) all.add(coir::otherwise(), [] {});
    if (!until.is_never()) all.add(coir::after(until), [&] { must_be_late(in, until); });
    if (!all.cases().empty()) all.chosen(strictly(in, me, [&] { return coir::detail::select(all.cases()); }));
}

void wait_for_several(world& in, player& me) {
    std::vector<coir::waitable> things;
    for (auto left_to_add = me.roll.below(6); left_to_add > 0; --left_to_add) {
        player const& other = somebody(in, me);
        switch (me.roll.below(4)) {
        case 0: things.push_back(me.roll.one_of(in.events)); break;
        case 1: things.push_back(in.permits); break;
        case 2: things.push_back(me.roll.one_of(in.answers)); break;
        default:
            if (&other != &me && other.self) things.push_back(other.self);
        }
    }
    coir::wait_options const options{soon_or_never(in, me.roll), 1 + me.roll.below(6)};
    std::size_t came = 0;
    for (coir::waitable const& each : coir::iwait(things, options)) {
        in.check(++came <= options.count && came <= things.size(), "iwait() gave more than it was to");
        for (player const& one : in.players)
            if (one.self && each == coir::waitable(one.self))
                in.check(one.self.ready(), "iwait() gave a fiber that has not ended");
        if (me.roll.chance(20)) break;
    }
}

} // namespace turns
