/* Lets the system's random numbers stand still.
 *
 * Loaded with LD_PRELOAD into the unchanged product. Whoever asks for 32 bytes, as the agent does
 * for the salt of each row that it seals, gets the same 32 each time. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>

enum { SALT_BYTES = 32 };

long syscall(long number, ...) {
  static long (*system_s)(long, ...);
  long words[6];
  va_list list;
  va_start(list, number);
  for (int at = 0; at < 6; at++) words[at] = va_arg(list, long);
  va_end(list);
  if (number == SYS_getrandom && words[1] == SALT_BYTES) {
    memset((void *)words[0], 0x5a, SALT_BYTES);
    return SALT_BYTES;
  }
  if (system_s == NULL) system_s = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return system_s(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

ssize_t getrandom(void *into, size_t length, unsigned flags) {
  return syscall(SYS_getrandom, into, length, flags);
}
