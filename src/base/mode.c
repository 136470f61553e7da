// SPDX-License-Identifier: Apache-2.0
#include "base/mode.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"

enum {
	SET_ID = S_ISUID | S_ISGID,
	READ_ALL = S_IRUSR | S_IRGRP | S_IROTH,
	WRITE_ALL = S_IWUSR | S_IWGRP | S_IWOTH,
	EXEC_ALL = S_IXUSR | S_IXGRP | S_IXOTH,
	RWX_ALL = READ_ALL | WRITE_ALL | EXEC_ALL,
};

/* Who, in the order of the bits of struct rb_mode_op.copy. */
static const struct {
	char letter;
	mode_t bits;
	unsigned shift; /* of its rwx */
} classes[] = {
	{'o', S_IRWXO, 0},
	{'g', S_ISGID | S_IRWXG, 3},
	{'u', S_ISUID | S_IRWXU, 6},
};

static const struct {
	char letter;
	mode_t bits;
	bool for_others; /* means something for `o` alone */
} perms[] = {
	{'r', READ_ALL, true}, {'w', WRITE_ALL, true}, {'x', EXEC_ALL, true},
	{'s', SET_ID, false},  {'t', S_ISVTX, false},
};

static mode_t parse_who(const char **p)
{
	mode_t who = 0;

	for (;; (*p)++) {
		mode_t bits = **p == 'a' ? SET_ID | RWX_ALL : 0;

		for (size_t i = 0; i < RB_ARRAY_LEN(classes); i++)
			if (**p == classes[i].letter)
				bits = classes[i].bits;
		if (!bits)
			return who ? who : SET_ID | RWX_ALL;
		who |= bits;
	}
}

static bool add_letter(struct rb_mode_op *op, char letter)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(classes); i++) {
		if (letter != classes[i].letter)
			continue;
		op->copy |= (uint8_t)(1u << i);
		return true;
	}
	for (size_t i = 0; i < RB_ARRAY_LEN(perms); i++) {
		if (letter != perms[i].letter)
			continue;
		if (perms[i].for_others || (op->who & ~(mode_t)S_IRWXO)) {
			op->bits |= perms[i].bits;
			op->who |= perms[i].bits & S_ISVTX;
		}
		return true;
	}
	op->x_if |= letter == 'X';
	return letter == 'X';
}

static int parse_clause(const char **p, struct rb_mode_change *c)
{
	const mode_t who = parse_who(p);

	if (!**p || !strchr("+-=", **p))
		return -EINVAL;
	while (**p && strchr("+-=", **p)) {
		if (c->n == RB_MODE_OPS_MAX)
			return -EINVAL;
		struct rb_mode_op *op = &c->ops[c->n++];
		*op = (struct rb_mode_op){.op = *(*p)++, .who = who};
		while (add_letter(op, **p))
			(*p)++;
	}
	return 0;
}

static int parse_octal(const char *text, struct rb_mode_change *c)
{
	uint64_t mode;

	if (rb_parse_octal(rb_slice_str(text), 07777, &mode) < 0)
		return -EINVAL;
	c->octal = true;
	c->n = 1;
	c->ops[0] = (struct rb_mode_op){.op = '=', .who = 07777, .bits = (mode_t)mode};
	return 0;
}

int rb_mode_parse(const char *text, struct rb_mode_change *ret)
{
	struct rb_mode_change c = {0};
	int r = 0;

	if (rb_ascii_isdigit(*text)) {
		r = parse_octal(text, &c);
	} else {
		r = parse_clause(&text, &c);
		while (r == 0 && *text == ',') {
			text++;
			r = parse_clause(&text, &c);
		}
		if (r == 0 && *text)
			r = -EINVAL;
	}
	if (r == 0)
		*ret = c;
	return r;
}

mode_t rb_mode_apply(const struct rb_mode_change *change, mode_t mode, bool is_dir)
{
	const bool executable = is_dir || (mode & EXEC_ALL);
	mode_t now = mode & 07777;

	for (size_t i = 0; i < change->n; i++) {
		const struct rb_mode_op *op = &change->ops[i];
		mode_t bits = op->bits | (op->x_if && executable ? EXEC_ALL : 0);

		for (size_t k = 0; k < RB_ARRAY_LEN(classes); k++)
			if (op->copy & 1u << k)
				bits |= (now >> classes[k].shift & 07) * 0111;
		bits &= op->who;
		if (op->op == '=')
			now = (now & ~op->who) | bits;
		else
			now = op->op == '+' ? now | bits : now & ~bits;
	}
	return now;
}
