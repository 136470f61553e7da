/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI image config (image-spec config.md plus Docker's fields: Healthcheck, OnBuild, Shell,
 * ArgsEscaped). Read into typed fields and written back with a fixed key order; unknown fields of a
 * base are dropped (dockerfile.md 7.1). Pure.
 */
#ifndef RB_IMAGE_CONFIG_H
#define RB_IMAGE_CONFIG_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "image/platform.h"

struct rb_history {
	char *created; /* RFC 3339 or NULL */
	char *created_by;
	char *author;
	char *comment;
	bool empty_layer;
};

/* A map written with sorted keys. */
struct rb_labels {
	struct rb_strv keys;
	struct rb_strv values; /* parallel */
};

struct rb_healthcheck {
	bool set;
	struct rb_strv test;
	int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns, retries; /* 0: unset */
};

struct rb_image_config {
	char *created; /* RFC 3339 or NULL */
	char *author;
	char *os_version;
	struct rb_strv os_features;
	struct rb_platform platform;

	char *user; /* NULL: unset */
	char *working_dir;
	char *stop_signal;
	struct rb_strv env; /* "NAME=value", ordered */
	struct rb_strv entrypoint, cmd, shell, onbuild;
	struct rb_strv exposed_ports, volumes; /* sets; written sorted */
	struct rb_labels labels;
	struct rb_healthcheck health;
	bool args_escaped;

	struct rb_digest *diff_ids;
	size_t n_diff_ids, cap_diff_ids;
	struct rb_history *history;
	size_t n_history, cap_history;
	char *inline_cache; /* written, never read: no base hands its own down
			     * (image/cache-config.h)
			     */
};

/* Zero-initialised storage of the caller, filled; errors RB_ERR_CORRUPT naming the field. */
int rb_image_config_parse(const char *text, size_t len, struct rb_image_config *ret,
			  struct rb_error **err);
/* Deep copy into cleared storage. */
void rb_image_config_copy(struct rb_image_config *dst, const struct rb_image_config *src);
void rb_image_config_clear(struct rb_image_config *c);
/* The document; its SHA-256 is the image ID. Empty values are omitted. Caller frees. */
char *rb_image_config_dump(const struct rb_image_config *c);

/* The inline cache of an image's config, or NULL; caller frees. */
char *rb_image_config_inline_cache(const char *text, size_t len);

void rb_image_config_add_diff(struct rb_image_config *c, const struct rb_digest *diff_id);
/* Strings are copied; NULL is fine. */
void rb_image_config_add_history(struct rb_image_config *c, const char *created,
				 const char *created_by, const char *author, const char *comment,
				 bool empty_layer);
void rb_labels_set(struct rb_labels *l, const char *key, const char *value); /* keeps keys sorted */
/* Adds to a sorted set of strings unless present. */
void rb_strset_add(struct rb_strv *set, const char *s);

/* chain(0) = diff(0); chain(n) = sha256(chain(n-1) " " diff(n)), over the text forms (image-spec
 * config.md). */
struct rb_digest rb_chain_id(const struct rb_digest *parent /* NULL for the first */,
			     const struct rb_digest *diff_id);

/* The last second that RFC 3339 can write: that of the year 9999. */
#define RB_TIME_MAX INT64_C(253402300799)
/* Seconds and nanoseconds of an RFC 3339 time in UTC ("...Z"); 0 or -EINVAL. */
int rb_rfc3339_parse(const char *text, int64_t *ret_sec, uint32_t *ret_nsec);
/* RFC 3339 with the nanoseconds needed, UTC: "2026-11-23T11:25:45.5Z"; caller frees. */
char *rb_rfc3339(int64_t sec, uint32_t nsec);

#endif
