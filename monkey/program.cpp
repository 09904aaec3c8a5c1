#include "monkey/program.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <set>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace coir::monkey {
namespace {

constexpr std::string_view taken_over[] = {
#define ALIAS(convention, result, symbol, parameters, arguments, body) #symbol,
#define HOOK(convention, result, symbol, parameters, arguments) #symbol,
#include "monkey/hooks.def"
#undef ALIAS
#undef HOOK
};

constexpr std::string_view left_to_libc[] = {
#define LEFT(symbol) #symbol,
#include "monkey/left_to_libc.def"
#undef LEFT
};

[[noreturn]] void fail(int error, std::string const& path) {
    throw std::system_error(error, std::generic_category(), path);
}

// A file in memory, read only.
class mapped_file {
public:
    explicit mapped_file(std::string const& path) {
        int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) fail(errno, path);
        struct stat about;
        bool const known = fstat(fd, &about) == 0;
        size_ = known ? std::size_t(about.st_size) : 0;
        mode_ = known ? about.st_mode : 0;
        void* const at = size_ ? mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
        int const error = errno;
        close(fd);
        if (at == MAP_FAILED) fail(size_ ? error : ENOEXEC, path);
        start_ = static_cast<std::byte const*>(at);
    }
    ~mapped_file() { munmap(const_cast<std::byte*>(start_), size_); }
    mapped_file(mapped_file const&) = delete;

    mode_t mode() const noexcept { return mode_; }

    /// `count` things from `offset` on; none if the file ends before.
    template <class T>
    std::span<T const> at(std::uint64_t offset, std::uint64_t count) const noexcept {
        if (offset > size_ || count > (size_ - offset) / sizeof(T) || offset % alignof(T)) return {};
        return {reinterpret_cast<T const*>(start_ + offset), std::size_t(count)};
    }

private:
    std::byte const* start_;
    std::size_t size_;
    mode_t mode_;
};

class elf_file {
public:
    explicit elf_file(std::string const& path) : file_(path) {
        auto const header = file_.at<Elf64_Ehdr>(0, 1);
        if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0 ||
            header[0].e_ident[EI_CLASS] != ELFCLASS64)
            fail(ENOEXEC, path);
        segments_ = file_.at<Elf64_Phdr>(header[0].e_phoff, header[0].e_phnum);
        sections_ = file_.at<Elf64_Shdr>(header[0].e_shoff, header[0].e_shnum);
        if (header[0].e_shstrndx < sections_.size()) names_ = text_of(sections_[header[0].e_shstrndx]);
    }

    mode_t mode() const noexcept { return file_.mode(); }
    bool has_interpreter() const noexcept {
        return std::ranges::any_of(segments_, [](Elf64_Phdr const& each) { return each.p_type == PT_INTERP; });
    }
    Elf64_Shdr const* section(std::string_view name) const noexcept {
        for (Elf64_Shdr const& each : sections_)
            if (string_at(names_, each.sh_name) == name) return &each;
        return nullptr;
    }
    std::span<char const> text_of(Elf64_Shdr const& of) const noexcept {
        return of.sh_type == SHT_NOBITS ? std::span<char const>{} : file_.at<char>(of.sh_offset, of.sh_size);
    }

    std::set<std::string, std::less<>> imports() const {
        std::set<std::string, std::less<>> found;
        for (Elf64_Shdr const& each : sections_) {
            if (each.sh_type != SHT_DYNSYM || each.sh_link >= sections_.size()) continue;
            auto const strings = text_of(sections_[each.sh_link]);
            for (Elf64_Sym const& symbol : file_.at<Elf64_Sym>(each.sh_offset, each.sh_size / sizeof(Elf64_Sym)))
                if (symbol.st_shndx == SHN_UNDEF) found.emplace(string_at(strings, symbol.st_name));
        }
        return found;
    }

private:
    static std::string_view string_at(std::span<char const> strings, std::size_t offset) noexcept {
        if (offset >= strings.size()) return {};
        return {strings.data() + offset, strnlen(strings.data() + offset, strings.size() - offset)};
    }

    mapped_file file_;
    std::span<Elf64_Phdr const> segments_;
    std::span<Elf64_Shdr const> sections_;
    std::span<char const> names_;
};

// The bytes of the instruction; some may belong to another one, or to data.
std::size_t system_calls_in(std::span<char const> code) noexcept {
    std::string_view const bytes{code.data(), code.size()};
    std::size_t count = 0;
    for (std::size_t at = 0; (at = bytes.find("\x0f\x05", at)) != bytes.npos; at += 2) ++count;
    return count;
}

} // namespace

program_facts facts_of(std::string const& path) {
    elf_file const program{path};
    program_facts facts;
    auto const cannot = [&](std::string why) {
        facts.obstacles.push_back(std::move(why));
        facts.loads_shim = false;
    };
    bool const is_go = program.section(".note.go.buildid") || program.section(".go.buildinfo");
    if (!program.has_interpreter()) cannot("it is statically linked: it loads no library");
    if (program.mode() & (S_ISUID | S_ISGID)) cannot("it is setuid or setgid: the loader ignores LD_PRELOAD for it");
    if (is_go) facts.obstacles.push_back("it is written in Go, which makes its system calls itself");
    if (Elf64_Shdr const* const text = program.section(".text"); text && !is_go)
        if (std::size_t const count = system_calls_in(program.text_of(*text)))
            facts.obstacles.push_back("it has system calls of its own, " + std::to_string(count) +
                                      " at most: those are not reached");
    auto const imports = program.imports();
    for (std::string_view each : taken_over)
        if (imports.contains(each)) facts.cooperating.emplace_back(each);
    for (std::string_view each : left_to_libc)
        if (imports.contains(each)) facts.blocking.emplace_back(each);
    return facts;
}

} // namespace coir::monkey
