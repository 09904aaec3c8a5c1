// Plays each file in a directory: the inputs that a fuzzer found worth keeping.
#include "fuzz.h"

#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

int main(int argc, char** argv) try {
    namespace fs = std::filesystem;
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    int played = 0;
    for (auto const& each : fs::directory_iterator(argv[1])) {
        std::ifstream file(each.path(), std::ios::binary);
        std::vector<std::uint8_t> const input{std::istreambuf_iterator<char>(file), {}};
        if (!file) throw std::runtime_error("cannot read " + each.path().string());
        std::fprintf(stderr, "%s\n", each.path().c_str()); // the last one is the one that failed
        run_input(input);
        ++played;
    }
    std::printf("%d inputs\n", played);
    return played > 0 ? 0 : 1;
} catch (std::exception const& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
