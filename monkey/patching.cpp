#include "monkey/patching.h"

#include "monkey/families.h"
#include "monkey/kernel.h"
#include "monkey/patch_list.h"
#include "monkey/real.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace coir::monkey {

constinit std::atomic<std::uint32_t> patched_families{0};

namespace {

constexpr std::uint32_t known = 1u << 31;

} // namespace

std::uint32_t read_patched_families() noexcept {
    char const* const list = std::getenv("COIR_PATCH");
    std::string error;
    std::uint32_t const set = known | parse_patch_list(list ? list : "all", error);
    std::uint32_t before = 0;
    bool const first = patched_families.compare_exchange_strong(before, set);
    if (first && !error.empty()) {
        std::string const line = "coir: COIR_PATCH: " + error + "; all of them are patched\n";
        kernel(SYS_write, 2, line.data(), line.size());
    }
    return patched_families.load();
}

} // namespace coir::monkey

// What monkey.h looks for.
extern "C" {

[[gnu::visibility("default")]] void* coir_monkey_original(char const* symbol) noexcept {
    return coir::monkey::find_real(symbol);
}

[[gnu::visibility("default")]] bool coir_monkey_is_taken_over(char const* symbol) noexcept {
    using namespace coir::monkey;
    struct row {
        char const* symbol;
        unsigned family;
        bool in_any_case;
    };
    static constexpr row rows[] = {
#define ALIAS(convention, result, symbol, parameters, arguments, body) {#symbol, family_of_row(__LINE__), false},
#define HOOK(convention, result, symbol, parameters, arguments) ALIAS(, , symbol, , , )
#define TRACK(convention, result, symbol, parameters, arguments, body) {#symbol, family_of_row(__LINE__), true},
#define TRACK_INNER TRACK
#define ALWAYS TRACK
#define ALWAYS_INNER TRACK
#include "monkey/hooks.def"
#undef ALIAS
#undef HOOK
    };
    for (row const& each : rows)
        if (std::string_view(each.symbol) == symbol) return each.in_any_case || is_family_patched(each.family);
    return false;
}

// What is wrong with the list, or null; allocated.
[[gnu::visibility("default")]] char* coir_monkey_patch(char const* list) noexcept {
    using namespace coir::monkey;
    std::string error;
    std::uint32_t const set = parse_patch_list(list, error);
    if (!error.empty()) return strdup(error.c_str());
    patched_families.store(known | set);
    return nullptr;
}

} // extern "C"
