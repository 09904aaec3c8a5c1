// Marks what libcoir.so exports. Everything else is hidden (meson.build: gnu_symbol_visibility).
#pragma once

#define COIR_API __attribute__((visibility("default")))
