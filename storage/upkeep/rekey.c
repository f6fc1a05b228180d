// Another master key as an operation: one slice. What it does is in store_keys.c.
#include "storage/upkeep/operation.h"

#include "storage/crypt/cipher.h"

#include <stdlib.h>

typedef struct {
    ut_operation base; // first member: the caller's pointer is ours
    uint8_t master_key[UT_CIPHER_KEY_LEN];
} rekey;

static ut_err step(ut_operation *operation, ut_store *store, uint64_t now_ns, bool *more,
                   ut_fault *fault)
{
    rekey *r = (rekey *)(void *)operation;
    (void)now_ns;
    *more = false;
    ut_err err = ut_store_rekey(store, r->master_key, fault);
    if (err == UT_OK)
        operation->progress.done = 1;
    return err;
}

static void release(ut_operation *operation)
{
    ut_wipe(operation, sizeof(rekey));
    free(operation);
}

static const ut_operation_class class = {.name_z = "rekey", .step = step, .free = release};

ut_err ut_rekey_new(const uint8_t *master_key, ut_operation **operation)
{
    rekey *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return UT_ENOMEM;
    r->base.class = &class;
    r->base.progress.total = 1;
    memcpy(r->master_key, master_key, sizeof(r->master_key));
    *operation = &r->base;
    return UT_OK;
}
