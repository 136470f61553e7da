/* SPDX-License-Identifier: Apache-2.0 */
/* One record of comma-separated values, as in --output, --secret and RUN --mount. */
#ifndef RB_BASE_CSV_H
#define RB_BASE_CSV_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Splits a record into its fields (RFC 4180: quotes around a whole field, doubled inside) and adds
 * them to `ret`; an empty text is one empty field. The error has the given code and quotes the
 * text.
 */
int rb_csv_split(const char *text, enum rb_err code, struct rb_strv *ret, struct rb_error **err);

#endif
