// One file over HTTP, fetched as any program does it: libcurl's blocking "easy" interface and stdio. Nothing
// here knows of fibers. That many of these calls run at once on one thread is the doing of whoever spawns
// them, and of the shim.
//
// curl_global_init() must have been called, and SIGPIPE be ignored (download.cpp says why). Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

/// Told how many bytes came so far, and of how many; 0: not known. Must not throw.
using download_progress = std::function<void(std::uint64_t bytes, std::uint64_t total)>;

/// Fetches `url` into the file `target` and returns its size in bytes. The file appears whole or not at all:
/// the bytes are written to `target`.part, which is renamed in the end and removed on failure. Gives up when
/// no connection is made or not one byte comes for `patience`. **Blocks.** Throws std::runtime_error, whose
/// text is the reason: libcurl's for what went wrong on the way, std::system_error for the file.
std::uint64_t download(std::string const& url, std::filesystem::path const& target, std::chrono::seconds patience,
                       download_progress const& progress = {});
