#include "monkey/patch_list.h"

#include "monkey/families.h"

#include <algorithm>

namespace coir::monkey {
namespace {

constexpr std::uint32_t all = (1u << family_count) - 1;

std::string names_of_all() {
    std::string names;
    for (unsigned i = 0; i < family_count; ++i) {
        bool const told = std::any_of(families, families + i, [&](family const& each) {
            return std::string_view(each.name) == families[i].name; // it has several sections
        });
        if (!told) names += std::string(i ? ", " : "") + families[i].name;
    }
    return names;
}

} // namespace

std::uint32_t parse_patch_list(std::string_view list, std::string& error) {
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

} // namespace coir::monkey
