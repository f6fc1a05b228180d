// The number of memory blocks and descriptors that the process holds, so that a test without a
// sanitizer sees what is left behind. Only for programs whose calls of malloc and its kin are
// wrapped (`counted` in the Makefile).
#ifndef UT_TESTS_SUPPORT_HOLDINGS_H
#define UT_TESTS_SUPPORT_HOLDINGS_H

typedef struct {
    long blocks;
    long descriptors;
} ut_holdings;

ut_holdings ut_holdings_now(void);

// Fails the test when the process holds more or less than at `before`.
void ut_holdings_assert_same(const ut_holdings *before);

#endif
