// Follows the spans that arrive; see follow.h.
#include "agent/query/follow.h"

#include "agent/config/config_find.h"

#include <stdlib.h>

enum { ORDINAL_LAST = UT_BLOCK_SPANS_MAX - 1 };

// The place of the last span that was visited.
typedef struct {
    bool found;
    uint64_t seq;
    uint32_t ordinal;
} place;

static ut_err note_place(void *context, const ut_trace_span *span)
{
    place *last = context;
    *last = (place){.found = true, .seq = span->seq, .ordinal = span->ordinal};
    return UT_OK;
}

// Of the newest `count` spans that match, the one that arrived first.
static ut_err find_back(ut_reader *reader, const ut_filter *filter, uint64_t count, place *first)
{
    ut_span_search search;
    ut_span_search_begin(&search, filter, false);
    *first = (place){.found = false};
    return count == 0 ? UT_OK : ut_span_search_run(&search, reader, count, note_place, NULL, first);
}

// Sets the search where the backlog begins.
static ut_err go_back(ut_follow *follow, const ut_filter *filter, uint64_t backlog)
{
    const ut_filter all = ut_filter_all();
    place newest;
    place first;
    // First the end, so that what arrives during the search is not passed.
    ut_err err = find_back(follow->reader, &all, 1, &newest);
    if (err == UT_OK)
        err = find_back(follow->reader, filter, backlog, &first);
    if (err != UT_OK || !newest.found)
        return err; // from the beginning of an empty store
    ut_query_cursor *cursor = &follow->search.cursor;
    *cursor = (ut_query_cursor){true, newest.seq, newest.ordinal};
    if (first.found && first.ordinal > 0)
        *cursor = (ut_query_cursor){true, first.seq, first.ordinal - 1};
    else if (first.found)
        *cursor = (ut_query_cursor){true, first.seq - 1, ORDINAL_LAST};
    return UT_OK;
}

static ut_err open_anew(ut_follow *follow, ut_fault *fault)
{
    ut_reader_close(follow->reader);
    return ut_reader_open(follow->dir_z, follow->config_z, follow->reader, fault);
}

ut_err ut_follow_begin(ut_follow *follow, ut_reader *reader, const char *data_dir_z,
                       const char *config_z, const ut_filter *filter, uint64_t backlog,
                       ut_fault *fault)
{
    ut_err err = UT_OK;
    *follow = (ut_follow){.reader = reader, .config_z = config_z};
    ut_span_search_begin(&follow->search, filter, true);
    if (data_dir_z == NULL) {
        err = ut_config_find_data_dir(config_z, &follow->dir_z, fault);
    } else {
        follow->dir_z = strdup(data_dir_z);
        if (follow->dir_z == NULL)
            err = ut_fault_set(fault, UT_ENOMEM, "out of memory");
    }
    if (err != UT_OK)
        return err;
    follow->watch = ut_store_watch_of(follow->dir_z);
    err = open_anew(follow, fault); // the file that is watched
    if (err == UT_OK && backlog < UINT64_MAX) {
        err = go_back(follow, filter, backlog);
        if (err != UT_OK)
            (void)ut_fault_set(fault, err, "the store cannot be read: %s", ut_err_text(err));
    }
    ut_store_watch_begin(&follow->watch);
    if (err != UT_OK)
        ut_follow_end(follow);
    return err;
}

void ut_follow_end(ut_follow *follow)
{
    ut_store_watch_end(&follow->watch);
    free(follow->dir_z);
    follow->dir_z = NULL;
}

// A store that has stored fewer blocks in its life than were seen already is another one: it is
// followed from its beginning.
static ut_err look_at_age(ut_follow *follow)
{
    ut_store_counts counts = {0};
    ut_err err = ut_store_view_begin(follow->reader->view);
    if (err == UT_OK)
        err = ut_store_view_counts(follow->reader->view, &counts);
    ut_store_view_end(follow->reader->view);
    if (err != UT_OK)
        return err;
    if (counts.blocks_stored < follow->blocks_stored) {
        follow->search.cursor.begun = false;
        follow->search.leavers.begun = false;
    }
    follow->blocks_stored = counts.blocks_stored;
    return UT_OK;
}

static ut_err pull_once(ut_follow *follow, ut_trace_span_visit visit, ut_span_search_pause pause,
                        void *context)
{
    const ut_err err = look_at_age(follow);
    return err == UT_OK
               ? ut_span_search_run(&follow->search, follow->reader, 0, visit, pause, context)
               : err;
}

ut_err ut_follow_pull(ut_follow *follow, ut_trace_span_visit visit, ut_span_search_pause pause,
                      void *context)
{
    ut_fault unused;
    ut_err err = UT_OK;
    if (ut_store_watch_replaced(&follow->watch) || follow->reader->view == NULL)
        err = open_anew(follow, &unused);
    // While an agent starts, or the directory is being moved, there may be no store to open.
    if (err == UT_ENOTFOUND || err == UT_EBUSY)
        return UT_OK;
    if (err == UT_OK)
        err = pull_once(follow, visit, pause, context);
    if (err != UT_EIO && err != UT_ECORRUPT)
        return err;
    err = open_anew(follow, &unused);
    return err == UT_OK ? pull_once(follow, visit, pause, context) : err;
}

ut_err ut_follow_wait(ut_follow *follow, uint64_t timeout_ms)
{
    return ut_store_watch_wait(&follow->watch, timeout_ms);
}
