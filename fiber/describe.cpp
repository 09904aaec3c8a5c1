#include "fiber/describe.h"

#include "fiber/context.h"
#include "fiber/greenlet.h"

#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>

namespace coir {

std::string demangled(char const* symbol) {
    int status;
    std::unique_ptr<char, void (*)(void*)> name{abi::__cxa_demangle(symbol, nullptr, nullptr, &status), std::free};
    return name ? name.get() : symbol;
}

std::string demangled(std::type_info const& type) { return demangled(type.name()); }

bool is_exit(std::exception_ptr const& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (fiber_exit const&) {
        return true;
    } catch (...) {
        return false;
    }
}

std::string describe(std::exception_ptr const& error) {
    try {
        std::rethrow_exception(error);
    } catch (std::exception const& thrown) {
        return demangled(typeid(thrown)) + ": " + thrown.what();
    } catch (...) {
        std::type_info const* const type = abi::__cxa_current_exception_type(); // null for what is no C++ exception
        return type ? demangled(*type) + ", which is no std::exception" : "an exception of another language";
    }
}

void report_ignored(context const& of, std::exception_ptr const& error, std::string const& why) {
    std::fprintf(stderr, "coir: an exception of %s is ignored, %s: %s\n", of.name().c_str(), why.c_str(),
                 describe(error).c_str());
}

} // namespace coir
