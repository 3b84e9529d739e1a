#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_NO_POSIX_SIGNALS  // a sanitizer's report says more
#include <catch2/catch.hpp>
