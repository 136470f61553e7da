// SPDX-License-Identifier: Apache-2.0
/* Whether the kernel ran out of memory: known only by comparing its counters (dockerfile.md 12). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "exec/exec-internal.h"

enum { COUNTER_FILE_MAX = 64 << 10 };

/* The number behind `key` at the start of a line; 0 where the file or the key is missing. */
static uint64_t read_counter(const char *path, const char *key)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;
	size_t n = strlen(key);

	if (rb_read_file_at(AT_FDCWD, path, COUNTER_FILE_MAX, &text, &err) < 0)
		rb_error_drop(&err); /* no such counter here: it never moves */
	for (const char *p = text.ptr; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, key, n) == 0 && p[n] == ' ')
			return strtoull(p + n, NULL, 10);
	return 0;
}

/* memory.events of our own group (cgroup v2); the path is learnt once. */
static const char *group_file(void)
{
	static char *path;
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;

	if (path)
		return path;
	if (rb_read_file_at(AT_FDCWD, "/proc/self/cgroup", COUNTER_FILE_MAX, &text, &err) < 0)
		rb_error_drop(&err); /* no groups at all */
	const char *line = strstr(text.ptr, "0::");
	line = line ? line + 3 : "";
	path = rb_asprintf("/sys/fs/cgroup%.*s/memory.events", (int)strcspn(line, "\n"), line);
	return path;
}

struct rb_oom_mark rb_oom_now(void)
{
	return (struct rb_oom_mark){.kills = read_counter("/proc/vmstat", "oom_kill"),
				    .group_kills = read_counter(group_file(), "oom_kill")};
}
