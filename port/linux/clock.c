// The two clocks of the seam, from clock_gettime. Not for timers: code that waits holds
// its own deadline.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "port/port.h"

#include "port/base/time_units.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

uint64_t ut_clock_mono_ms(void)
{
    struct timespec now;
    UT_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / UT_NS_PER_MS;
}

uint64_t ut_clock_wall_ns(void)
{
    struct timespec now;
    UT_ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    // A device without a clock battery may start before 1970; span times know no such thing.
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * UT_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t ut_clock_up_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return ut_clock_mono_ms(); // an old kernel: the same without sleep
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / UT_NS_PER_MS;
}

uint64_t ut_clock_boot(void)
{
    enum { DIGITS = 16 }; // of 32 random ones
    uint64_t boot = 0;
    unsigned count = 0;
    char text[36];
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t len = read(fd, text, sizeof(text));
    (void)close(fd); // read only
    for (ssize_t i = 0; i < len && count < DIGITS; i++) {
        const char c = text[i];
        const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (digit)
            boot = boot << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        count += digit;
    }
    return count == DIGITS ? boot : 0;
}
