// Stores as versions with `durability: interval` left them: commits that are not synced, and notes
// of the last sync in store.steady. The state is made here as those versions made it: a reader held
// the pages of the last sync, and its meta page was copied into a note.
#include "storage/engine.h"
#include "storage/lmdb/lmdb_file.h"
#include "tests/support/engine_calls.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

enum { BUDGET = 4 * 1024 * 1024, NOTE_LEN = 512, NOTE_APART = 4096, BOOT_LEN = 36 };

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    char data_z[UT_TEMP_PATH_MAX];
    char steady_z[UT_TEMP_PATH_MAX];
    ut_engine *engine; // NULL: closed
    ut_txn *held;      // sees the state of the last sync
    unsigned turn;     // notes written
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    ut_temp_dir_make(f->dir_z);
    ut_temp_path(f->dir_z, "store.mdb", f->data_z);
    ut_temp_path(f->dir_z, "store.steady", f->steady_z);
    *state = f;
    return 0;
}

static void close_engine(fixture *f)
{
    if (f->held != NULL)
        ut_txn_abort(f->held);
    f->held = NULL;
    if (f->engine != NULL)
        ut_engine_close(f->engine);
    f->engine = NULL;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    close_engine(f);
    ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

// ---- what those versions did ----

static void read_at(const char *path_z, off_t at, void *bytes, size_t len)
{
    const int fd = open(path_z, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, len, at), (ssize_t)len);
    (void)close(fd);
}

static size_t page_bytes(void)
{
    const long bytes = sysconf(_SC_PAGESIZE);
    return bytes > 32768 ? 32768 : (size_t)bytes; // LMDB's largest
}

// The newer of the two meta pages, and the number of its transaction.
static size_t newest_meta(const fixture *f, uint8_t meta[UT_LMDB_META_LEN])
{
    size_t newest = 0;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t bytes[UT_LMDB_META_LEN];
        size_t id;
        read_at(f->data_z, (off_t)(i * page_bytes()), bytes, sizeof(bytes));
        memcpy(&id, bytes + UT_LMDB_META_TXN_AT, sizeof(id));
        if (i > 0 && id < newest)
            continue;
        newest = id;
        memcpy(meta, bytes, sizeof(bytes));
    }
    return newest;
}

static void write_note(fixture *f)
{
    uint8_t note[NOTE_LEN] = "UTSTEADY";
    ut_put_le32(note + 8, 1);
    ut_put_le32(note + 12, (uint32_t)page_bytes());
    ut_put_le64(note + 16, newest_meta(f, note + 64));
    read_at("/proc/sys/kernel/random/boot_id", 0, note + 24, BOOT_LEN);
    ut_put_le32(note + 508, XXH32(note, 508, 0));
    const int fd = open(f->steady_z, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, note, sizeof(note), (off_t)(f->turn % 2) * NOTE_APART), NOTE_LEN);
    (void)close(fd);
    f->turn++;
}

// From here on a power cut takes the store back to the state that is committed now.
static void note_state(fixture *f)
{
    ut_txn *state = ut_test_begin(f->engine, false);
    write_note(f);
    if (f->held != NULL)
        ut_txn_abort(f->held);
    f->held = state;
}

static void open_unsynced(fixture *f)
{
    f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
    f->turn = 0;
    note_state(f);
}

// What the notes say of the start of the machine is changed, as if it had been started again.
static void start_the_machine_again(const fixture *f)
{
    size_t len;
    uint8_t *notes = ut_test_read_whole(f->steady_z, &len);
    for (size_t at = 0; at + NOTE_LEN <= len; at += NOTE_APART) {
        if (ut_get_le32(notes + at + 508) != XXH32(notes + at, 508, 0))
            continue;
        notes[at + 24] ^= 1;
        ut_put_le32(notes + at + 508, XXH32(notes + at, 508, 0));
    }
    ut_test_write_whole(f->steady_z, notes, len);
    free(notes);
}

static bool note_exists(const fixture *f)
{
    return access(f->steady_z, F_OK) == 0;
}

static void assert_stored(fixture *f, const char *key_z, const char *value_z)
{
    ut_txn *txn = ut_test_begin(f->engine, false);
    ut_test_assert_get(txn, key_z, value_z);
    ut_txn_abort(txn);
}

// ---- claims ----

// A power cut leaves any mix of the pages of the last sync and of those written since; the meta
// pages may be the newest ones. Afterwards the store is as it was at the last sync.
static void a_power_cut_takes_the_store_back_to_its_last_sync(void **state)
{
    fixture *f = *state;
    ut_random random = {99};
    const size_t page = page_bytes();
    for (unsigned round = 0; round < 12; round++) {
        open_unsynced(f);
        ut_test_churn(f->engine, &random, round == 0 ? 0 : 20); // also back to the very beginning
        note_state(f);
        uint8_t *expected;
        size_t expected_len;
        size_t synced_len;
        size_t len;
        size_t notes_len;
        ut_engine_dump(f->engine, &expected, &expected_len);
        uint8_t *synced = ut_test_read_whole(f->data_z, &synced_len);
        ut_test_churn(f->engine, &random, 1 + ut_random_below(&random, 60));
        uint8_t *newest = ut_test_read_whole(f->data_z, &len);
        uint8_t *notes = ut_test_read_whole(f->steady_z, &notes_len);
        close_engine(f);

        // Pages from page 2 on are old or new as it comes, the end may be missing.
        for (size_t at = 2 * page; at + page <= synced_len && at + page <= len; at += page) {
            if (ut_random_below(&random, 2) == 0)
                memcpy(newest + at, synced + at, page);
        }
        const size_t grown = len > synced_len ? len - synced_len : 0;
        const size_t cut = grown > 0 ? synced_len + ut_random_below(&random, (uint32_t)grown) : len;
        ut_test_write_whole(f->data_z, newest, cut);
        ut_test_write_whole(f->steady_z, notes, notes_len);
        start_the_machine_again(f);
        ut_engine *reader;
        ut_fault fault;
        assert_int_equal(ut_test_try_lmdb(f->dir_z, BUDGET, true, &reader, &fault), UT_ECORRUPT);
        assert_non_null(strstr(fault.text_z, "Start the agent"));
        assert_true(note_exists(f));
        f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
        assert_false(note_exists(f));
        ut_test_assert_same_dump(f->engine, expected, expected_len);
        ut_test_churn(f->engine, &random, 5);
        close_engine(f);
        free(expected);
        free(synced);
        free(newest);
        free(notes);
    }
}

// The power may have failed in the middle of a sync, when everything was synced and the new note
// was torn.
static void a_note_that_was_torn_leaves_the_one_before(void **state)
{
    fixture *f = *state;
    ut_random random = {7};
    for (unsigned round = 0; round < 6; round++) {
        open_unsynced(f);
        for (unsigned i = 0; i < round; i++) { // numbers of transactions even and odd
            ut_test_churn(f->engine, &random, 1 + i % 2);
            note_state(f);
        }
        uint8_t *expected;
        size_t expected_len;
        size_t len;
        size_t notes_len;
        ut_engine_dump(f->engine, &expected, &expected_len);
        ut_test_churn(f->engine, &random, 2 + 2 * (round % 2));
        uint8_t *newest = ut_test_read_whole(f->data_z, &len);
        const size_t torn_at = (size_t)(f->turn % 2) * NOTE_APART;
        note_state(f);
        uint8_t *notes = ut_test_read_whole(f->steady_z, &notes_len);
        close_engine(f);
        memset(notes + torn_at + NOTE_LEN / 2, 0, NOTE_LEN / 2);
        ut_test_write_whole(f->data_z, newest, len);
        ut_test_write_whole(f->steady_z, notes, notes_len);
        start_the_machine_again(f);
        f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
        ut_test_assert_same_dump(f->engine, expected, expected_len);
        close_engine(f);
        free(expected);
        free(newest);
        free(notes);
    }
}

static void write_and_vanish(void *context)
{
    fixture *f = context;
    open_unsynced(f);
    ut_test_store_z(f->engine, "a", "1");
    note_state(f);
    ut_test_store_z(f->engine, "a", "2");
    _exit(7);
}

static void a_kill_lost_nothing_that_was_not_synced(void **state)
{
    fixture *f = *state;
    assert_int_equal(ut_test_in_child(write_and_vanish, f), 7);
    assert_true(note_exists(f));
    ut_fault fault;
    assert_int_equal(ut_test_try_lmdb(f->dir_z, BUDGET, true, &f->engine, &fault), UT_OK);
    assert_stored(f, "a", "2");
    close_engine(f);
    assert_true(note_exists(f)); // who reads writes nothing
    f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
    assert_stored(f, "a", "2");
    assert_false(note_exists(f));
}

// A power cut can undo that a name was removed: the name is then given back to what it named. A
// note that still said something would take back what was committed since.
static void a_note_whose_removal_was_lost_takes_nothing_back(void **state)
{
    fixture *f = *state;
    char kept_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "kept", kept_z);
    assert_int_equal(ut_test_in_child(write_and_vanish, f), 7);
    assert_int_equal(link(f->steady_z, kept_z), 0);
    f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
    ut_test_store_z(f->engine, "a", "3");
    close_engine(f);
    assert_false(note_exists(f));
    assert_int_equal(rename(kept_z, f->steady_z), 0);
    start_the_machine_again(f);
    f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
    assert_stored(f, "a", "3");
    assert_false(note_exists(f));
}

static void a_damaged_note_is_no_note(void **state)
{
    fixture *f = *state;
    size_t len;
    open_unsynced(f);
    ut_test_store_z(f->engine, "a", "1");
    note_state(f);
    close_engine(f);
    start_the_machine_again(f);
    uint8_t *notes = ut_test_read_whole(f->steady_z, &len);
    assert_int_equal(unlink(f->steady_z), 0);
    f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
    ut_test_store_z(f->engine, "a", "2");
    close_engine(f);
    for (size_t at = 0; at < NOTE_LEN; at += 37) {
        uint8_t *bad = malloc(len);
        assert_non_null(bad);
        memcpy(bad, notes, len);
        for (size_t place = 0; place + NOTE_LEN <= len; place += NOTE_APART)
            bad[place + at] ^= 0x40;
        ut_test_write_whole(f->steady_z, bad, len);
        free(bad);
        f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
        assert_stored(f, "a", "2");
        close_engine(f);
    }
    free(notes);
}

static void a_note_without_a_store_leaves_an_empty_one(void **state)
{
    fixture *f = *state;
    open_unsynced(f);
    close_engine(f);
    assert_int_equal(unlink(f->data_z), 0);
    start_the_machine_again(f);
    f->engine = ut_test_open_lmdb(f->dir_z, BUDGET);
    assert_false(note_exists(f));
    ut_txn *txn = ut_test_begin(f->engine, false);
    ut_test_assert_absent(txn, "a");
    ut_txn_abort(txn);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_power_cut_takes_the_store_back_to_its_last_sync),
        CLAIM(a_note_that_was_torn_leaves_the_one_before),
        CLAIM(a_kill_lost_nothing_that_was_not_synced),
        CLAIM(a_note_whose_removal_was_lost_takes_nothing_back),
        CLAIM(a_damaged_note_is_no_note),
        CLAIM(a_note_without_a_store_leaves_an_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
