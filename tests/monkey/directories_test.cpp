#include "tests/monkey/fixture.h"

#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace {

// A directory of so many files that libc asks the kernel for them in several turns (32 KiB each).
class many_files {
public:
    many_files() {
        char pattern[] = "/tmp/coir-directories-test-XXXXXX";
        if (!mkdtemp(pattern)) throw std::system_error(errno, std::generic_category(), "mkdtemp");
        path = pattern;
        for (int i = 0; i < 2000; ++i) {
            std::string const name = "a-file-with-quite-a-long-name-" + std::to_string(i);
            std::ofstream(path + "/" + name);
            names.insert(name);
        }
    }
    ~many_files() { std::filesystem::remove_all(path); }
    many_files(many_files const&) = delete;

    std::string path;
    std::set<std::string> names{".", ".."};
};

} // namespace

TEST(directories, every_entry_is_read_and_others_run_when_the_kernel_is_asked) {
    many_files const files;
    DIR* const directory = opendir(files.path.c_str());
    ASSERT_NE(directory, nullptr);
    int calls = 0, waited = 0;
    do {
        rewinddir(directory);
        std::set<std::string> found;
        dirent const* entry;
        errno = 0;
        do {
            ++calls;
            waited += lets_others_run([&] { entry = readdir(directory); }, 1);
            EXPECT_TRUE(!entry || found.insert(entry->d_name).second);
        } while (entry);
        EXPECT_EQ(errno, 0);
        ASSERT_EQ(found, files.names);
    } while (waited == 0); // what a worker does may be done before the caller waits
    EXPECT_LT(waited, calls / 10);
    rewinddir(directory);
    dirent64 room, *again = nullptr;
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    EXPECT_EQ(readdir64_r(directory, &room, &again), 0);
    EXPECT_EQ(again, &room);
    EXPECT_EQ(closedir(directory), 0);
}

TEST(directories, closing_one_ends_what_is_known_of_its_descriptor) {
    DIR* const directory = opendir("/");
    ASSERT_NE(directory, nullptr);
    int const number = dirfd(directory);
    char byte;
    EXPECT_EQ(read(number, &byte, 1), -1); // now known as a directory
    EXPECT_EQ(errno, EISDIR);
    EXPECT_EQ(closedir(directory), 0);
    int ends[2];
    checked(pipe(ends), "pipe");
    ASSERT_EQ(ends[0], number);
    auto reader = coir::spawn([&] { return read(ends[0], &byte, 1); });
    until_parked(reader);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(reader.get(), 1);
    close(ends[0]);
    close(ends[1]);
}
