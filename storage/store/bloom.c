// Asking the Bloom filter of a block; see bloom.h.
// Not for making one: bloom_build.c.
#include "storage/store/bloom.h"

#include "storage/store/bloom_bits.h"

static ut_bloom_term ask_term(const ut_filter_term *term, ut_bytes key, uint64_t seed)
{
    ut_bloom_term asked = {.key = ut_bloom_hash(key, seed, UT_BLOOM_KEY)};
    ut_filter_number number;
    asked.equals = term->op == UT_FILTER_EQUALS;
    if (!asked.equals)
        return asked;
    asked.wide = ut_bloom_hash_wide(asked.key);
    asked.text = ut_bloom_hash(term->text, asked.key, UT_BLOOM_TEXT);
    asked.is_number = ut_filter_number_read(term->text, &number);
    if (asked.is_number)
        asked.number =
            ut_bloom_hash_number(number.whole ? (double)number.integer : number.real, asked.key);
    return asked;
}

void ut_bloom_ask(const ut_filter *filter, uint64_t seed, ut_bloom_question *question)
{
    *question = (ut_bloom_question){.seeded = seed != 0};
    if (filter->service.len > 0 && !ut_filter_is_glob(filter->service)) {
        question->has_service = true;
        question->service = ut_bloom_hash(filter->service, seed, UT_BLOOM_SERVICE);
        question->has_failed = filter->statuses == 1 << UT_STATUS_ERROR;
        question->failed = ut_bloom_hash(filter->service, seed, UT_BLOOM_FAILED);
    }
    if (filter->name.len > 0 && !ut_filter_is_glob(filter->name)) {
        question->has_name = true;
        question->name = ut_bloom_hash(filter->name, seed, UT_BLOOM_NAME);
    }
    for (uint32_t i = 0; i < filter->term_count; i++) {
        const ut_filter_term *term = &filter->terms[i];
        question->terms[question->term_count] = ask_term(term, term->key, seed);
        question->terms[question->term_count++].or_next = term->or_key.len > 0;
        if (term->or_key.len > 0)
            question->terms[question->term_count++] = ask_term(term, term->or_key, seed);
    }
}

static bool may_hold(ut_bytes bits, uint64_t token)
{
    uint32_t bit_count = (uint32_t)bits.len * 8;
    for (unsigned n = 0; n < UT_BLOOM_HASHES; n++) {
        uint32_t bit = ut_bloom_bit(token, n, bit_count);
        if ((bits.data[bit / 8] & 1 << bit % 8) == 0)
            return false;
    }
    return true;
}

static bool term_excludes(const ut_bloom_term *term, uint8_t flags, ut_bytes bits)
{
    if ((flags & UT_BLOOM_HAS_KEYS) == 0)
        return false;
    if (!may_hold(bits, term->key))
        return true;
    if (!term->equals || (flags & UT_BLOOM_HAS_PAIRS) == 0 || may_hold(bits, term->wide))
        return false;
    return !may_hold(bits, term->text) && !(term->is_number && may_hold(bits, term->number));
}

bool ut_bloom_excludes(const ut_bloom_question *question, ut_bytes bloom)
{
    if (bloom.len <= UT_BLOOM_HEAD || bloom.len > UT_BLOOM_HEAD + UT_BLOOM_BYTES_MAX ||
        (bloom.data[0] & ~UT_BLOOM_FLAGS) != 0 ||
        ((bloom.data[0] & UT_BLOOM_SEEDED) != 0) != question->seeded)
        return false;
    ut_bytes bits = {bloom.data + UT_BLOOM_HEAD, bloom.len - UT_BLOOM_HEAD};
    if (question->has_service && !may_hold(bits, question->service))
        return true;
    if (question->has_failed && !may_hold(bits, question->failed))
        return true;
    if (question->has_name && !may_hold(bits, question->name))
        return true;
    for (uint32_t i = 0; i < question->term_count; i++) {
        bool excluded = term_excludes(&question->terms[i], bloom.data[0], bits);
        while (question->terms[i].or_next) {
            i += 1;
            excluded = excluded && term_excludes(&question->terms[i], bloom.data[0], bits);
        }
        if (excluded)
            return true;
    }
    return false;
}
