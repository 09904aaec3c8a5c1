// One file copied, as any program does it: open, copy_file_range, rename. Nothing here knows of fibers. That others run
// while a call waits for the disk is the doing of the shim.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <sys/stat.h>

/// Told how many bytes were copied so far, and of how many. Must not throw.
using copy_progress = std::function<void(std::uint64_t bytes, std::uint64_t total)>;

/// Copies the regular file `from` to `to`, with its permissions, its times and its holes, and returns its size in
/// bytes. Whatever `to` was is replaced, unless it is a folder: by the whole file or not at all, as it is written under
/// another name, `.copy_folder-XXXXXX`, in the same folder, and removed on failure; who kills the program finds it.
/// `syncs`: it is on the disk before it has its name. **Blocks.** Throws std::system_error, which says at what. Any
/// thread.
std::uint64_t copy_file(std::filesystem::path const& from, std::filesystem::path const& to, bool syncs,
                        copy_progress const& progress = {});

/// Gives what is open as `fd` the permissions and times of another. Not its set-user-ID and set-group-ID: the owner is
/// another, too. Throws std::system_error.
void keep_mode_and_times(int fd, struct stat const& of);
