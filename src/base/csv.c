// SPDX-License-Identifier: Apache-2.0
#include "base/csv.h"

#include <string.h>

static int quoted_field(const char **p, struct rb_buf *field)
{
	const char *s = *p + 1;

	for (; *s && (*s != '"' || s[1] == '"'); s++) {
		s += *s == '"';
		rb_buf_addch(field, *s);
	}
	if (*s != '"' || (s[1] && s[1] != ','))
		return -1;
	*p = s + 1;
	return 0;
}

int rb_csv_split(const char *text, enum rb_err code, struct rb_strv *ret, struct rb_error **err)
{
	for (const char *p = text;; p++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf field = RB_BUF_INIT;
		size_t n = strcspn(p, ",");

		if (*p == '"') {
			if (quoted_field(&p, &field) < 0)
				return rb_fail(err, code,
					       "a quote is not closed, or text follows it: %s",
					       text);
		} else if (memchr(p, '"', n)) {
			return rb_fail(err, code,
				       "quotes go around a whole field, as in \"key=a,b\": %s",
				       text);
		} else {
			rb_buf_add(&field, p, n);
			p += n;
		}
		rb_strv_take(ret, rb_buf_steal(&field));
		if (!*p)
			return 0;
	}
}
