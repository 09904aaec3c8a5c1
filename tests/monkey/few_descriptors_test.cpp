// coir's own descriptors where none can be moved out of the program's way for a moment: fcntl is this program's own
// here.
#include "tests/monkey/fixture.h"

#include <chrono>
#include <cstdarg>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>

namespace {

int to_pass = 0, to_refuse = 0; // moves from here on

} // namespace

extern "C" int fcntl(int fd, int what, ...) {
    static auto* const real = reinterpret_cast<int (*)(int, int, ...)>(dlsym(RTLD_NEXT, "fcntl"));
    va_list list;
    va_start(list, what);
    long const argument = va_arg(list, long);
    va_end(list);
    if (what == F_DUPFD_CLOEXEC && to_refuse > 0 && to_pass-- <= 0) {
        --to_refuse;
        errno = EMFILE;
        return -1;
    }
    return real(fd, what, argument);
}

TEST(few_descriptors, a_number_that_was_coirs_for_a_moment_is_the_programs_again) {
    coir::sleep(std::chrono::milliseconds(1));
    for (int passed = 0; passed < 5; ++passed) {
        to_pass = passed;
        to_refuse = 1;
        pid_t const child = fork();
        if (child == 0) {
            to_refuse = 0;
            coir::sleep(std::chrono::milliseconds(1));
            bool all = true;
            int made[8];
            for (int& each : made) each = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
            for (int const each : made) all = ::close(each) == 0 && all;
            _exit(all ? 0 : 1);
        }
        to_refuse = 0;
        int status = 0;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << "with " << passed << " before it";
    }
}
