/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image references `[domain/]path[:tag][@digest]`, normalised as Docker does: no domain means
 * docker.io, a docker.io path without "/" gets "library/", neither tag nor digest means ":latest".
 * Grammar and limits: the distribution project's reference grammar (repository at most 255 bytes,
 * tag at most 128). Pure.
 */
#ifndef RB_IMAGE_REFERENCE_H
#define RB_IMAGE_REFERENCE_H

#include "base/digest.h"
#include "base/error.h"

struct rb_ref {
	char *domain; /* "docker.io", "localhost:5000" */
	char *path;   /* "library/debian" */
	char *tag;    /* NULL only when a digest was given without a tag */
	char *digest; /* "sha256:..." or NULL */
};

/* Errors: RB_ERR_USAGE `invalid reference format: ...`. *ret is cleared by the caller with
 * rb_ref_clear(). */
int rb_ref_parse(const char *text, struct rb_ref *ret, struct rb_error **err);
void rb_ref_clear(struct rb_ref *ref);
/* "docker.io/library/debian:bookworm[@sha256:...]"; caller frees. */
char *rb_ref_text(const struct rb_ref *ref);
/* As a person writes it: "debian:bookworm", "localhost:5000/x:1"; ":latest" kept. Caller frees. */
char *rb_ref_familiar(const struct rb_ref *ref);

#endif
