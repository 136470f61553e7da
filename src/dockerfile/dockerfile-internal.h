/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of dockerfile/ share; nobody else includes this. */
#ifndef RB_DOCKERFILE_INTERNAL_H
#define RB_DOCKERFILE_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/unicode.h"
#include "dockerfile/dockerfile.h"

enum {
	/* A physical line, before its LF; the number is part of the message (dockerfile.md 1.1). */
	RB_DOCKERFILE_LINE_MAX = 65535,
	/* Bytes of a Dockerfile. Keeps line numbers in 32 bits and the tree at some hundred MB. */
	RB_DOCKERFILE_BYTES_MAX = 16 << 20,
	/* Bytes of variable values that one expansion may use; the kernel takes 128 KiB in a
	 * variable. */
	RB_EXPAND_BYTES_MAX = 1 << 20,
	/* ${a:-${b:-...}}: each level is a few stack frames. */
	RB_EXPAND_DEPTH_MAX = 64,
	/* Value and pattern of ${v#p} and ${v/p/r}: matching costs their product. */
	RB_GLOB_TEXT_MAX = 1 << 20,
	RB_GLOB_PATTERN_MAX = 1024,
	/* Names kept for the lint; more help nobody. */
	RB_EXPAND_REPORT_MAX = 64,
};

/* ---- glob.c: patterns of ${v#p} and ${v/p/r} ---- */

/* Appends value without the shortest (longest) prefix (suffix) that matches. */
int rb_expand_trim(const char *pattern, const char *value, bool suffix, bool longest,
		   struct rb_buf *ret, struct rb_error **err);
/* Appends value with its first match, or all, replaced. */
int rb_expand_replace(const char *pattern, const char *value, const char *with, bool all,
		      struct rb_buf *ret, struct rb_error **err);

/* ---- lex.c: physical lines, directives, logical lines, heredoc bodies ---- */

struct rb_lexer {
	struct rb_arena *arena;
	const char *p, *end;
	unsigned line; /* number of the line that was read last */
	char escape;
	const char *syntax, *check;
	const char *check_rest; /* what follows a blank in its value: not read */
	unsigned check_line;
	struct rb_strv comments; /* since the last instruction */
};

struct rb_logical_line {
	const char *text; /* trimmed, never empty */
	unsigned first, last;
	bool has_empty_continuation;
};

/* Skips a byte order mark and reads the directives. The text must outlive the lexer. */
int rb_lexer_start(struct rb_lexer *lx, struct rb_arena *arena, const char *text, size_t len,
		   struct rb_error **err);
/* 1 with the next logical line, 0 at the end, -1. */
int rb_lexer_next(struct rb_lexer *lx, struct rb_logical_line *ret, struct rb_error **err);
/* Reads body and terminator of h, whose name and chomp are set. */
int rb_lexer_read_heredoc(struct rb_lexer *lx, struct rb_heredoc *h, struct rb_error **err);
void rb_lexer_clear(struct rb_lexer *lx);

/* ---- words.c: ways to cut a logical line ---- */

/* Appends the flags ("--a=b", quotes removed) in front of s; returns what follows them. */
struct rb_slice rb_words_take_flags(struct rb_slice s, char escape, struct rb_strv *flags);
/* At runs of blanks, without quoting. */
void rb_words_split(const char *s, struct rb_strv *ret);
/* Key/value words (1.8): quotes and escapes protect blanks and are kept. */
void rb_words_split_quoted(const char *s, char escape, struct rb_strv *ret);
/* 1: s is a JSON array of strings, appended to *ret. 0: not JSON. -1: JSON, but not of strings. */
int rb_words_parse_json(const char *s, struct rb_strv *ret, struct rb_error **err);
/* First run of blanks: the word before it; *rest is what follows it. */
struct rb_slice rb_words_head(struct rb_slice s, struct rb_slice *rest);

/* ---- flags.c: the words that rb_words_take_flags() took ---- */

enum rb_flag_type { RB_FLAG_STRING, RB_FLAG_BOOL, RB_FLAG_LIST };

struct rb_flag_spec {
	const char *name; /* without "--"; NULL ends a list of them */
	enum rb_flag_type type;
};

enum { RB_FLAGS_MAX = 8 };

struct rb_flag {
	bool given;
	bool on;           /* RB_FLAG_BOOL */
	const char *value; /* the last one; borrowed from the words; NULL: none */
};

struct rb_flags {
	const struct rb_flag_spec *specs;
	struct rb_flag flag[RB_FLAGS_MAX]; /* in the order of specs */
};

/* specs may be NULL: then every flag is unknown. */
int rb_flags_parse(const struct rb_flag_spec *specs, const struct rb_strv *words,
		   struct rb_flags *ret, struct rb_error **err);
/* One that is not in specs counts as not given. */
const struct rb_flag *rb_flags_find(const struct rb_flags *flags, const char *name);

/* ---- lint.c ---- */

/* What a comment above an instruction tells the lint, or NULL: it is one for people. */
const char *rb_lint_comment(const char *comment);

/* ---- mount.c ---- */

/* The fields of --mount: keys in lower case, values NULL where there is no "=". In the arena. */
int rb_mount_split(struct rb_arena *arena, const char *record, struct rb_kvs *ret,
		   struct rb_error **err);

/* ---- heredoc.c: heredoc words ---- */

/* True when the whole word is a heredoc such as <<-"EOF"; sets all but the bodies. */
bool rb_heredoc_parse(struct rb_arena *arena, struct rb_slice word, struct rb_heredoc *ret);
/* The heredocs that a line of shell text asks for. The array lives in the arena. */
size_t rb_heredoc_find(struct rb_arena *arena, const char *text, struct rb_heredoc **ret);

/* ---- statement.c: an instruction, or the trigger of ONBUILD, while it is parsed ---- */

struct rb_statement {
	struct rb_lexer *lx;
	struct rb_inst *inst;
	const struct rb_statement_kind *kind;
	struct rb_strv flag_words;
	struct rb_flags flags;
	const char *args; /* what follows the flags, trimmed */
	bool json;        /* args are a JSON array of strings: */
	struct rb_strv list;
};

struct rb_statement_kind {
	const char *name;
	const struct rb_flag_spec *flags; /* NULL: knows none */
	bool drops_flags;                 /* whatever they are */
	bool json;
	bool heredoc;
	const char *needs; /* what is required when there are no arguments */
	int (*parse)(struct rb_statement *st, struct rb_error **err);
};

/* Sets st->flags; for the instructions that say so of themselves (drops_flags). */
int rb_statement_parse_flags(struct rb_statement *st, struct rb_error **err);
/* Value of a string flag for the tree; an empty one is as good as none. */
const char *rb_statement_flag(struct rb_statement *st, const char *name);
/* All values of a list flag. */
struct rb_words rb_statement_flag_list(struct rb_statement *st, const char *name);
/* The list, in the arena. */
struct rb_words rb_statement_words(struct rb_statement *st, char *const *v, size_t n);
/* "line LF body1 delimiter1 LF body2 delimiter2": text and its heredocs as a shell reads them. */
const char *rb_statement_with_bodies(struct rb_statement *st);
/* A heredoc that becomes a file is named after its delimiter. */
int rb_statement_check_file_name(const struct rb_statement *st, const char *name,
				 struct rb_error **err);

/* ---- inst-run.c, inst-copy.c, inst-config.c: `parse` of the instructions ---- */

int rb_inst_parse_run(struct rb_statement *st, struct rb_error **err);
/* COPY, ADD */
int rb_inst_parse_copy(struct rb_statement *st, struct rb_error **err);
/* CMD, ENTRYPOINT */
int rb_inst_parse_command(struct rb_statement *st, struct rb_error **err);
int rb_inst_parse_shell(struct rb_statement *st, struct rb_error **err);
/* MAINTAINER, STOPSIGNAL, USER, WORKDIR */
int rb_inst_parse_text(struct rb_statement *st, struct rb_error **err);
int rb_inst_parse_expose(struct rb_statement *st, struct rb_error **err);
int rb_inst_parse_volume(struct rb_statement *st, struct rb_error **err);
/* ARG, ENV, LABEL */
int rb_inst_parse_pairs(struct rb_statement *st, struct rb_error **err);
int rb_inst_parse_health(struct rb_statement *st, struct rb_error **err);

/* ---- inst.c: one logical line -> one instruction ---- */

/* On failure the lines of *ret are set. Heredoc bodies are read from lx. */
int rb_inst_parse(struct rb_lexer *lx, const struct rb_logical_line *line, struct rb_inst *ret,
		  struct rb_error **err);
/* What ONBUILD does not take; `word` in any case. */
int rb_inst_check_trigger(const char *word, struct rb_error **err);

#endif
