// Stands in for the C library's look-up of service names in the static binary. c-ares asks for them
// where a caller names a port by word ("https" for 443), which libcurl never does; the C library's
// own would load the host's NSS modules, which a static binary must not.
#include <netdb.h>

#include <cerrno>

extern "C" int getservbyname_r(const char*, const char*, servent*, char*, size_t,
                               servent** result) {
  *result = nullptr;
  return ENOENT;
}

extern "C" int getservbyport_r(int, const char*, servent*, char*, size_t, servent** result) {
  *result = nullptr;
  return ENOENT;
}
