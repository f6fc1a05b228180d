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

// A test of cmocka that fails when it leaves something behind.
#define UT_HOLDINGS_TEST(name) \
    cmocka_unit_test_setup_teardown(name, ut_holdings_set_up, ut_holdings_tear_down)
int ut_holdings_set_up(void **state);
int ut_holdings_tear_down(void **state);

#endif
