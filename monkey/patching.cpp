#include "monkey/patching.h"

#include "monkey/families.h"
#include "monkey/kernel.h"
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
constexpr std::uint32_t all = (1u << family_count) - 1;

std::string names_of_all() {
    std::string names;
    for (family const& each : families) names += std::string(names.empty() ? "" : ", ") + each.name;
    return names;
}

// "socket,time", or "all,-file"; what is wrong in `error`.
std::uint32_t parse(std::string_view list, std::string& error) {
    std::uint32_t set = list.starts_with('-') ? all : 0;
    while (!list.empty()) {
        std::string_view name = list.substr(0, list.find(','));
        list.remove_prefix(std::min(name.size() + 1, list.size()));
        bool const without = name.starts_with('-');
        if (without) name.remove_prefix(1);
        std::uint32_t which = name == "all" ? all : 0;
        for (unsigned i = 0; i < family_count; ++i)
            if (name == families[i].name) which |= 1u << i;
        if (!which && !name.empty() && name != "none") {
            error = "'" + std::string(name) + "' is no family of calls: there are all, none, " + names_of_all();
            return all;
        }
        set = without ? set & ~which : set | which;
    }
    return set;
}

} // namespace

std::uint32_t read_patched_families() noexcept {
    char const* const list = std::getenv("COIR_PATCH");
    std::string error;
    std::uint32_t const set = known | (list ? parse(list, error) : all);
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
    };
    static constexpr row rows[] = {
#define ALIAS(convention, result, symbol, parameters, arguments, body) {#symbol, family_of_row(__LINE__)},
#define HOOK(convention, result, symbol, parameters, arguments) ALIAS(, , symbol, , , )
#include "monkey/hooks.def"
#undef ALIAS
#undef HOOK
    };
    for (row const& each : rows)
        if (std::string_view(each.symbol) == symbol) return is_family_patched(each.family);
    return false;
}

// What is wrong with the list, or null; allocated.
[[gnu::visibility("default")]] char* coir_monkey_patch(char const* list) noexcept {
    using namespace coir::monkey;
    std::string error;
    std::uint32_t const set = parse(list, error);
    if (!error.empty()) return strdup(error.c_str());
    patched_families.store(known | set);
    return nullptr;
}

} // extern "C"
