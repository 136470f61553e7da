/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Dockerfile as data: text -> instructions -> typed instructions. Pure: no I/O, no clock, no
 * globals.
 *
 * Everything that can be refused without knowing values of variables is refused here, with its
 * lines; what depends on values (expansion results, base image config) is refused by plan/.
 */
#ifndef RB_DOCKERFILE_DOCKERFILE_H
#define RB_DOCKERFILE_DOCKERFILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum rb_inst_kind {
	RB_INST_FROM,
	RB_INST_ADD,
	RB_INST_ARG,
	RB_INST_CMD,
	RB_INST_COPY,
	RB_INST_ENTRYPOINT,
	RB_INST_ENV,
	RB_INST_EXPOSE,
	RB_INST_HEALTHCHECK,
	RB_INST_LABEL,
	RB_INST_MAINTAINER,
	RB_INST_ONBUILD,
	RB_INST_RUN,
	RB_INST_SHELL,
	RB_INST_STOPSIGNAL,
	RB_INST_USER,
	RB_INST_VOLUME,
	RB_INST_WORKDIR,
	RB_INST_N
};

/* Upper-case word of a kind: "FROM". */
const char *rb_inst_kind_name(enum rb_inst_kind kind);

struct rb_words {
	const char **v; /* v[n] is NULL */
	size_t n;
};

struct rb_kv {
	const char *key;
	const char *value; /* ARG without default: NULL */
};

struct rb_kvs {
	struct rb_kv *v;
	size_t n;
	bool legacy; /* ENV or LABEL without "=" */
};

struct rb_heredoc {
	const char *name; /* delimiter after quote removal */
	unsigned fd;      /* 0 when not given */
	bool expand;      /* delimiter had no quotes */
	bool chomp; /* <<-: leading TABs of every line are stripped in `body` already when used by
		       RUN/COPY */
	const char *body; /* what the heredoc stands for: chomped when chomp; NUL-terminated */
	const char *raw;  /* the lines as written, without the terminator line */
};

/* RUN --device: a device by its CDI name. */
struct rb_device {
	const char *name;
	bool required;
};

struct rb_inst {
	enum rb_inst_kind kind;
	const char *word;            /* as written: "run" */
	const char *original;        /* logical line, trimmed, flags included; heredoc bodies not */
	unsigned line_first;         /* 1-based */
	unsigned line_last;          /* inclusive of continuation lines and heredoc bodies */
	unsigned empty_continuation; /* its last line when there is an empty one in it, else 0 */
	struct rb_heredoc *heredocs;
	size_t n_heredocs;
	const char **comments; /* comment lines right before it ('#' and blanks trimmed); for
				  descriptions */
	size_t n_comments;
	bool trigger; /* came from ONBUILD of the base; escape is always '\\' */
	union {
		struct {
			const char *image;    /* unexpanded */
			const char *platform; /* unexpanded or NULL */
			const char *name;     /* AS name, lower-cased, validated; or NULL */
			const char *name_written;
		} from;
		struct {
			bool exec; /* JSON form: argv; else `script` */
			struct rb_words argv;
			const char *script; /* shell text (with heredoc rules of dockerfile.md 1.9
					       applied, see below) */
			/* Command is exactly one heredoc whose body begins with "#!": run it as a
			 * file of that name. */
			const struct rb_heredoc *script_file;
			const char *network; /* NULL, "default", "none", "host" */
			/* The options of each --mount, in order, unexpanded; checked as far as that
			 * goes: see rb_run_mount_parse() in mount.h. */
			const struct rb_kvs *mounts;
			size_t n_mounts;
			bool insecure; /* --security=insecure */
			const struct rb_device *devices;
			size_t n_devices;
		} run;
		struct {
			struct rb_words sources; /* unexpanded; without heredocs */
			const char *dest;        /* unexpanded */
			const char *from;        /* COPY --from as written, or NULL */
			const char *chown;       /* unexpanded or NULL */
			const char *chmod;       /* unexpanded or NULL */
			int unpack;              /* ADD: -1 not given, else 0 or 1 */
			int keep_git_dir;        /* ADD: the same */
			const char *checksum;    /* ADD: unexpanded or NULL */
			bool link, parents;
			struct rb_words excludes; /* never expanded */
			/*
			 * Order in which sources and heredocs were written: n = sources.n +
			 * n_heredocs entries; a value below sources.n is a source, else
			 * heredocs[value - sources.n].
			 */
			const size_t *order;
			size_t n_order;
		} copy; /* ADD and COPY */
		struct rb_kvs
			kvs; /* ARG (value NULL: no default), ENV, LABEL; unexpanded, quotes kept */
		struct {
			bool exec;
			struct rb_words argv; /* exec form */
			const char *script;   /* shell form */
		} cmd;                        /* CMD, ENTRYPOINT */
		struct rb_words words;        /* EXPOSE, VOLUME (unexpanded), SHELL */
		/* WORKDIR, USER, STOPSIGNAL (unexpanded), MAINTAINER, ONBUILD (heredoc bodies
		 * included) */
		const char *text;
		struct {
			bool none;
			bool exec;
			struct rb_words argv;
			const char *script;
			int64_t interval_ns, timeout_ns, start_period_ns,
				start_interval_ns; /* 0: unset */
			int64_t retries;           /* 0: unset */
		} health;
	};
};

struct rb_stage {
	size_t index; /* 0-based, file order */
	const struct rb_inst *from;
	const char *name;            /* lower case, or NULL; borrowed from `from` */
	const struct rb_inst *insts; /* the instructions after FROM */
	size_t n_insts;
};

struct rb_dockerfile {
	char escape;            /* '\\' or '`' */
	const char *syntax;     /* value of # syntax= or NULL; never fetched or run (threats S37) */
	const char *check;      /* value of # check= or NULL */
	const char *check_rest; /* NULL, or what follows a blank in its line and so is not read */
	unsigned check_line;
	const struct rb_inst *global_args; /* ARGs before the first FROM */
	size_t n_global_args;
	struct rb_stage *stages; /* at least one */
	size_t n_stages;
};

/*
 * Parses a whole Dockerfile (dockerfile.md 1 and the value-free checks of 3). The text is copied;
 * `ret` is freed with rb_dockerfile_free(). Errors: RB_ERR_DOCKERFILE with lines (none when the
 * whole file is meant); parse errors of single instructions start with "dockerfile parse error on
 * line N: ". Instructions of every stage are checked, needed or not. Limits: named constants in
 * dockerfile-internal.h.
 */
int rb_dockerfile_parse(const char *text, size_t len, struct rb_dockerfile **ret,
			struct rb_error **err);
void rb_dockerfile_free(struct rb_dockerfile *df);
RB_DEFINE_CLEANUP(rb_dockerfile)

/*
 * One ONBUILD trigger as config.OnBuild holds it, heredoc bodies included (3.15). All lines are set
 * to those given, which are the FROM's: the text is of another file. Memory is the arena's. Errors:
 * RB_ERR_DOCKERFILE with these lines.
 */
int rb_dockerfile_parse_trigger(struct rb_arena *arena, const char *text, unsigned line_first,
				unsigned line_last, struct rb_inst *ret, struct rb_error **err);

/*
 * The source frame of dockerfile.md 8.5 for lines [first, last] of text: "Dockerfile:7\n-----\n
 * ..." ready to print, ending in a newline. Control characters of the text are shown as '?' except
 * TAB. Caller frees.
 */
char *rb_dockerfile_frame(const char *file, const char *text, size_t len, unsigned first,
			  unsigned last);

#endif
