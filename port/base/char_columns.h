// How many columns of a terminal a character takes. The table is made from Unicode data by
// tools/char-columns. Not for which characters may be shown (utf8.h).
#ifndef UT_PORT_BASE_CHAR_COLUMNS_H
#define UT_PORT_BASE_CHAR_COLUMNS_H

#include <stdint.h>

// 2 for wide ones (East Asian wide and fullwidth, emoji), 0 for marks that stand on the character
// before and for joiners, else 1. Characters whose width Unicode calls ambiguous take 1.
uint32_t ut_char_columns(uint32_t point);

#endif
