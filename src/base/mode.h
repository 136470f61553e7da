/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of permission bits as chmod(1) of BSD writes them, with umask 0:
 *
 *	mode   = octal | clause *("," clause)
 *	clause = *("u" | "g" | "o" | "a") 1*(("+" | "-" | "=") *(perm | copy))
 *	perm   = "r" | "w" | "x" | "X" | "s" | "t"
 *	copy   = "u" | "g" | "o"
 *
 * `X` is `x` for directories and for what could be executed by somebody before any of the changes;
 * `s` and `t` mean nothing for `o` alone; `=` clears set-id bits of whom it is about, also of
 * directories, and leaves the sticky bit alone.
 */
#ifndef RB_BASE_MODE_H
#define RB_BASE_MODE_H

#include "base/base.h"

enum { RB_MODE_OPS_MAX = 32 };

struct rb_mode_op {
	char op;      /* '+', '-', '=' */
	bool x_if;    /* X */
	uint8_t copy; /* classes whose bits are copied: 4 u, 2 g, 1 o */
	mode_t who;   /* the bits it is about */
	mode_t bits;
};

struct rb_mode_change {
	bool octal; /* the mode is the same whatever it was */
	size_t n;
	struct rb_mode_op ops[RB_MODE_OPS_MAX];
};

/* 0, or -EINVAL: not such a text, beyond 07777, or more than RB_MODE_OPS_MAX operators. */
int rb_mode_parse(const char *text, struct rb_mode_change *ret);
/* What becomes of the permission bits of `mode`: 0..07777. */
mode_t rb_mode_apply(const struct rb_mode_change *change, mode_t mode, bool is_dir);

#endif
