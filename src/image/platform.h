/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms os[/arch[/variant]] with Docker's aliases (x86_64 -> amd64, aarch64 -> arm64, armhf ->
 * arm/v7 ...). Pure. */
#ifndef RB_IMAGE_PLATFORM_H
#define RB_IMAGE_PLATFORM_H

#include "base/error.h"

struct rb_platform {
	char os[32];
	char arch[32];
	char variant[16]; /* "" when none */
};

#define RB_PLATFORM_TEXT_BYTES 96

/* Errors: RB_ERR_USAGE `failed to parse platform X: ...`. A lone arch ("arm64") means linux/arm64.
 */
int rb_platform_parse(const char *text, struct rb_platform *ret, struct rb_error **err);
/* The platform this program was built for. */
struct rb_platform rb_platform_host(void);
/* "linux/arm/v7" into buf, which is returned. One spelling: arm64 with variant v8 is "linux/arm64".
 */
char *rb_platform_text(const struct rb_platform *platform, char buf[static RB_PLATFORM_TEXT_BYTES]);
bool rb_platform_eq(const struct rb_platform *a, const struct rb_platform *b);
/*
 * How well an image of platform `have` serves a request for `want`: 0 not at all, higher is better.
 * An empty variant of arm64 is v8; arm/v7 is served by v7, v6, v5 in that order; amd64 without
 * variant is v1.
 */
int rb_platform_match(const struct rb_platform *want, const struct rb_platform *have);

#endif
