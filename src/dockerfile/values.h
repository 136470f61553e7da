/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values inside instructions: ports, signals, modes, durations, kinds of sources; and the two ways
 * in which Go prints values that image histories carry. Pure. What is checked here is known only
 * after expansion, so plan/ calls these and adds the lines.
 */
#ifndef RB_DOCKERFILE_VALUES_H
#define RB_DOCKERFILE_VALUES_H

#include "base/buf.h"
#include "base/error.h"
#include "base/mode.h"

/*
 * One expanded word of EXPOSE (dockerfile.md 3.7): [[ip:]host:]port[-port][/proto]. Appends one
 * string per port, "80/tcp", to *ret in ascending order; a host part is checked and dropped.
 * Errors: RB_ERR_DOCKERFILE "invalid containerPort: x", "invalid proto: x", ...; *ret is unchanged.
 */
int rb_dockerfile_parse_port(const char *spec, struct rb_strv *ret, struct rb_error **err);

/* STOPSIGNAL (3.16): a Linux signal name with or without SIG, in any case, or an integer that is
 * not 0. Error: RB_ERR_DOCKERFILE "invalid signal: x". */
int rb_dockerfile_check_signal(const char *text, struct rb_error **err);

/* --chmod (3.9), octal or symbolic. Error: RB_ERR_DOCKERFILE "invalid chmod parameter: 'x'. ...".
 */
int rb_dockerfile_parse_chmod(const char *text, struct rb_mode_change *ret, struct rb_error **err);

/* A Go duration: "1h30m", "500ms", "-1.5s", "0". Error: RB_ERR_DOCKERFILE. */
int rb_dockerfile_parse_duration(const char *text, int64_t *ret_ns, struct rb_error **err);

/* Appends a duration as Go prints it: "0s", "1.5ms", "1h30m0s". */
void rb_dockerfile_add_duration(struct rb_buf *b, int64_t ns);

/* Appends a string as Go's %q prints it: in double quotes, what is not printable escaped. */
void rb_dockerfile_add_quoted(struct rb_buf *b, const char *s);

/* What a source of COPY or ADD names, judged by its form alone (3.10). */
enum rb_source_kind { RB_SOURCE_PATH, RB_SOURCE_URL, RB_SOURCE_GIT };
enum rb_source_kind rb_dockerfile_source_kind(const char *source);

/*
 * Refuses sources of COPY that are not paths: RB_ERR_DOCKERFILE "source can't be a URL for COPY".
 * For expanded ones; those written literally were looked at while parsing.
 */
int rb_dockerfile_check_copy_source(const char *source, struct rb_error **err);

#endif
