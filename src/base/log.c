// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static enum rb_log_level max_level = RB_LOG_WARN;
static void (*sink)(void *ctx, const char *line);
static void *sink_ctx;

void rb_log_set_level(enum rb_log_level level)
{
	max_level = level;
}

enum rb_log_level rb_log_level(void)
{
	return max_level;
}

void rb_log_set_sink(void (*fn)(void *ctx, const char *line), void *ctx)
{
	sink = fn;
	sink_ctx = ctx;
}

void rb_log(enum rb_log_level level, const char *fmt, ...)
{
	static const char *const names[] = {"warning: ", "", "debug: "};
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	char *msg = rb_vasprintf(fmt, ap);
	va_end(ap);
	char *line = rb_asprintf("rbuild: %s%s", names[level], msg);
	if (sink)
		sink(sink_ctx, line);
	else
		(void)fprintf(stderr, "%s\n", line);
	free(line);
	free(msg);
}
