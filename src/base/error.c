// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

int rb_error_push(struct rb_error **err, enum rb_err code, int sys_errno, const char *origin,
		  const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	struct rb_error *e = rb_calloc(1, sizeof(*e));
	e->cause = *err;
	e->code = code;
	e->sys_errno = sys_errno;
	e->origin = origin;
	if (e->cause) {
		if (code == RB_ERR_SAME) {
			e->code = e->cause->code;
			e->sys_errno = e->cause->sys_errno;
		}
		e->exit_status = e->cause->exit_status;
		e->line_first = e->cause->line_first;
		e->line_last = e->cause->line_last;
	} else if (code == RB_ERR_SAME) {
		rb_bug("rb_wrap() at %s without a cause", origin);
	}
	va_start(ap, fmt);
	e->msg = rb_vasprintf(fmt, ap);
	va_end(ap);
	*err = e;
	return -1;
}

int rb_error_at(struct rb_error **err, unsigned line_first, unsigned line_last)
{
	if (err && *err && !(*err)->line_first) {
		(*err)->line_first = line_first;
		(*err)->line_last = line_last;
	}
	return -1;
}

/* What is wrong wherever it happens. */
static const char *advice(int sys_errno)
{
	switch (sys_errno) {
	case EMFILE:
		return " (a process may have too few: raise the limit with ulimit -n)";
	case EFBIG:
		return " (see ulimit -f)";
	default:
		return "";
	}
}

char *rb_error_text(const struct rb_error *e)
{
	struct rb_buf b = RB_BUF_INIT;
	const struct rb_error *last = e;

	for (; e; e = e->cause) {
		if (b.len)
			rb_buf_addstr(&b, ": ");
		rb_buf_addstr(&b, e->msg);
		last = e;
	}
	if (last && last->code == RB_ERR_SYS && last->sys_errno)
		rb_buf_addf(&b, ": %s%s", strerrordesc_np(last->sys_errno),
			    advice(last->sys_errno));
	return rb_buf_steal(&b);
}

void rb_error_free(struct rb_error *e)
{
	while (e) {
		struct rb_error *cause = e->cause;

		free(e->msg);
		free(e);
		e = cause;
	}
}

void rb_error_drop(struct rb_error **err)
{
	if (err) {
		rb_error_free(*err);
		*err = NULL;
	}
}

const char *rb_space_hint(int neg)
{
	return neg == -ENOSPC || neg == -EDQUOT
		       ? " (free some space, or use another disk with --root DIR)"
		       : "";
}
