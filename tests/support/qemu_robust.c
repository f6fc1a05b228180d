// Lets LMDB open under QEMU's user-mode emulation, which lacks the system call behind robust
// mutexes. For emulated tests only: without it a lock whose owner was killed stays locked. Never
// part of the product.

#include <pthread.h>

// Takes the place of the C library's function in a static link and leaves the mutex an ordinary
// one.
int pthread_mutexattr_setrobust(pthread_mutexattr_t *attribute, int robustness)
{
    (void)attribute;
    (void)robustness;
    return 0;
}
