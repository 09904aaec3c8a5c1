// Which pages of its own site a page refers to. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

/// `url` as it is always written here: without a fragment, with the host in lower case. Throws std::invalid_argument
/// unless it is a URL of http or https.
std::string normal_url(std::string const& url);

/// The targets of what looks like href="…" in `page`, which came from `url`: each once, normal, and only those of the
/// same scheme, host and port.
std::vector<std::string> links_of(std::string_view page, std::string const& url);
