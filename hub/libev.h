// The only file that names libev's header: for the .cpp files that speak to it, never for a header. Internal.
#pragma once

#include <ev.h>
