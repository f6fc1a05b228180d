// Times to live by what is in a span: the first rule whose conditions all hold gives it. Pure
// functions over records; not for the time to live that a request or the
// configuration gives to everything (store.h).
#ifndef UT_STORAGE_STORE_RULES_H
#define UT_STORAGE_STORE_RULES_H

#include "storage/span/span.h"

enum {
    UT_RULES_MAX = 64,
    UT_RULE_CONDITIONS_MAX = 8, // of one rule
    UT_RULE_TEXT_MAX = 256,     // bytes of a key or a value
};

// The attribute `key` of the span, or where the span has none, of its resource, has this value:
// text as written, numbers in decimal, true or false. Where value holds * (any bytes) or ? (one
// character), it is a pattern for the whole text. The key "status" asks for the span's status.
typedef struct {
    ut_bytes key;
    ut_bytes value;
    bool by_status;
    uint8_t status; // ut_status_code, with by_status
} ut_rule_condition;

typedef struct {
    ut_rule_condition conditions[UT_RULE_CONDITIONS_MAX];
    uint32_t condition_count; // at least 1
    uint64_t ttl_ms;          // 0: until the room is needed
} ut_rule;

// Texts are borrowed as long as the rules are used.
typedef struct {
    ut_rule items[UT_RULES_MAX];
    uint32_t count;
} ut_rules;

// Fills a condition from its two texts. UT_ELIMIT: one is too long. UT_EINVAL: key or value is
// empty, or a status that is none of unset, ok and error.
ut_err ut_rule_condition_set(ut_rule_condition *condition, ut_bytes key, ut_bytes value);

// The first rule that fits a span, from the records of the span and of its resource; NULL when none
// does. A record that cannot be read fits none.
const ut_rule *ut_rules_find(const ut_rules *rules, ut_bytes span, ut_bytes resource);

#endif
