// SPDX-License-Identifier: Apache-2.0
/* Which mount a file lies on: the kind of file system by name, and its options. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host-internal.h"

void rb_mount_clear(struct rb_mount *m)
{
	free(m->point);
	free(m->type);
	free(m->options);
	*m = (struct rb_mount){0};
}

/* Undoes the kernel's escapes of blank, tab, newline and backslash: \040 */
static char *unescape(const char *s, size_t len)
{
	struct rb_buf b = RB_BUF_INIT;
	uint64_t c;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\\' && len - i > 3 &&
		    rb_parse_octal((struct rb_slice){s + i + 1, 3}, 0xff, &c) == 0) {
			rb_buf_addch(&b, (char)c);
			i += 3;
		} else {
			rb_buf_addch(&b, s[i]);
		}
	}
	return rb_buf_steal(&b);
}

/* The n-th word of a line; its length, 0 when there are fewer. */
static size_t word(const char *line, size_t n, const char **ret)
{
	for (; n; n--) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return 0;
		line++;
	}
	*ret = line;
	return strcspn(line, " \n");
}

/* proc(5): id parent major:minor root point options [tags...] - type source super-options */
static bool parse_line(const char *line, unsigned *id, struct rb_mount *ret)
{
	const char *dash = memmem(line, strcspn(line, "\n"), " - ", 3);
	const char *point = "", *options = "", *type = "";
	size_t point_len = word(line, 4, &point);
	size_t options_len = word(line, 5, &options);
	size_t type_len = dash ? word(dash + 3, 0, &type) : 0;

	if (sscanf(line, "%u", id) != 1 || !point_len || !options_len || !type_len)
		return false;
	ret->point = unescape(point, point_len);
	ret->options = rb_strndup(options, options_len);
	ret->type = rb_strndup(type, type_len);
	return true;
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return *line ? line + 1 : line;
}

bool rb_mount_parse(const char *mountinfo, unsigned id, struct rb_mount *ret)
{
	unsigned got;

	for (const char *line = mountinfo; *line; line = next_line(line)) {
		if (!parse_line(line, &got, ret))
			continue;
		if (got == id)
			return true;
		rb_mount_clear(ret);
	}
	return false;
}

bool rb_mount_shows_root(const char *mountinfo)
{
	const char *point = "";

	for (const char *line = mountinfo; *line; line = next_line(line))
		if (word(line, 4, &point) == 1 && *point == '/')
			return true;
	return false;
}

bool rb_mount_of_fd(int fd, struct rb_mount *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("/proc/self/fdinfo/%d", fd);
	unsigned id;

	rb_host_read(path, &text);
	const char *line = strstr(text.ptr, "\nmnt_id:");
	if (!line || sscanf(line, "\nmnt_id: %u", &id) != 1)
		return false;
	rb_host_read("/proc/self/mountinfo", &text);
	return rb_mount_parse(text.ptr, id, ret);
}
