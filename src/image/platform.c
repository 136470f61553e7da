// SPDX-License-Identifier: Apache-2.0
#include "image/platform.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* Go's GOARCH names are what images use; people also write those of uname and Debian. */
static const struct {
	const char *name, *arch, *variant;
} arch_aliases[] = {
	{"x86_64", "amd64", NULL}, {"x86-64", "amd64", NULL},    {"i386", "386", NULL},
	{"i686", "386", NULL},     {"aarch64", "arm64", NULL},   {"armhf", "arm", "v7"},
	{"armel", "arm", "v6"},    {"ppc64el", "ppc64le", NULL},
};

static const char *const known_os[] = {
	"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "aix", "wasip1",
};
static const char *const known_arch[] = {
	"amd64",  "386",      "arm",     "arm64",  "ppc64", "ppc64le", "riscv64", "s390x",
	"mips64", "mips64le", "loong64", "mipsle", "mips",  "wasm",    "sparc64",
};

/* The variant that an architecture has when none is named. */
static const struct {
	const char *arch, *variant;
} default_variants[] = {{"amd64", "v1"}, {"arm64", "v8"}, {"arm", "v7"}};

static bool listed(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (rb_streq(list[i], s))
			return true;
	return false;
}

static const char *default_variant(const char *arch)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(default_variants); i++)
		if (rb_streq(default_variants[i].arch, arch))
			return default_variants[i].variant;
	return "";
}

/* The fields are large enough for every literal and for text that was measured before. */
static void set_field(char *field, size_t size, const char *value)
{
	(void)snprintf(field, size, "%s", value);
}

/*
 * One spelling for each platform: aliases resolved, "8" -> "v8", and the default variant left out
 * except on arm, where `arm` alone has always meant and been written `arm/v7`.
 */
static void normalize(struct rb_platform *p)
{
	if (rb_streq(p->os, "macos"))
		set_field(p->os, sizeof(p->os), "darwin");
	for (size_t i = 0; i < RB_ARRAY_LEN(arch_aliases); i++) {
		if (!rb_streq(arch_aliases[i].name, p->arch))
			continue;
		set_field(p->arch, sizeof(p->arch), arch_aliases[i].arch);
		if (arch_aliases[i].variant && !p->variant[0])
			set_field(p->variant, sizeof(p->variant), arch_aliases[i].variant);
		break;
	}
	const char *usual = default_variant(p->arch);
	if (*usual && rb_ascii_isdigit(p->variant[0]) &&
	    strlen(p->variant) + 1 < sizeof(p->variant)) {
		memmove(p->variant + 1, p->variant, strlen(p->variant) + 1);
		p->variant[0] = 'v';
	}
	if (rb_streq(p->arch, "arm")) {
		if (!p->variant[0])
			set_field(p->variant, sizeof(p->variant), usual);
	} else if (rb_streq(p->variant, usual)) {
		p->variant[0] = '\0';
	}
}

static int bad(const char *text, const char *why, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_USAGE, "failed to parse platform %s: %s", *text ? text : "\"\"",
		       why);
}

/* Copies one component, lower case; false when it is empty, too long or has odd characters. */
static bool take_component(const char **p, char *field, size_t size)
{
	size_t n = strcspn(*p, "/");

	if (n == 0 || n >= size)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = (*p)[i];

		if (!rb_ascii_isalnum(c) && !strchr("_.-", c))
			return false;
		field[i] = rb_ascii_lower(c);
	}
	field[n] = '\0';
	*p += n;
	if (**p == '/')
		(*p)++;
	return true;
}

int rb_platform_parse(const char *text, struct rb_platform *ret, struct rb_error **err)
{
	struct rb_platform p = {.os = ""}, host = rb_platform_host();
	const char *s = text;
	size_t parts = 1;

	for (const char *c = text; *c; c++)
		parts += *c == '/';
	if (strchr(text, '('))
		return bad(text, "an OS version in parentheses is not supported: leave it out",
			   err);
	if (parts > 3)
		return bad(text, "expected os[/arch[/variant]]", err);
	if (!take_component(&s, p.os, sizeof(p.os)) ||
	    (parts > 1 && !take_component(&s, p.arch, sizeof(p.arch))) ||
	    (parts > 2 && !take_component(&s, p.variant, sizeof(p.variant))))
		return bad(text, "empty, too long or odd component; expected os[/arch[/variant]]",
			   err);
	if (parts == 1) {
		struct rb_platform lone = host;

		lone.variant[0] = '\0';
		set_field(lone.arch, sizeof(lone.arch), p.os);
		normalize(&lone);
		if (listed(known_arch, RB_ARRAY_LEN(known_arch), lone.arch)) {
			p = lone;
		} else {
			normalize(&p);
			if (!listed(known_os, RB_ARRAY_LEN(known_os), p.os))
				return bad(text, "unknown operating system or architecture", err);
			set_field(p.arch, sizeof(p.arch), host.arch);
			set_field(p.variant, sizeof(p.variant), host.variant);
		}
	}
	if (parts == 2 && listed(known_arch, RB_ARRAY_LEN(known_arch), p.os))
		return bad(text, "the operating system comes first, as in linux/arm/v7", err);
	normalize(&p);
	*ret = p;
	return 0;
}

struct rb_platform rb_platform_host(void)
{
	return (struct rb_platform)
	{
		.os = "linux",
#if defined(__x86_64__)
		.arch = "amd64",
#elif defined(__i386__)
		.arch = "386",
#elif defined(__aarch64__)
		.arch = "arm64",
#elif defined(__arm__)
		.arch = "arm", .variant = "v" RB_STRINGIFY(__ARM_ARCH),
#elif defined(__riscv) && __riscv_xlen == 64
		.arch = "riscv64",
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
		.arch = "ppc64le",
#elif defined(__s390x__)
		.arch = "s390x",
#elif defined(__loongarch64)
		.arch = "loong64",
#else
#error "name this architecture as Go does"
#endif
	};
}

char *rb_platform_text(const struct rb_platform *platform, char buf[static RB_PLATFORM_TEXT_BYTES])
{
	struct rb_platform p = *platform;

	normalize(&p);
	(void)snprintf(buf, RB_PLATFORM_TEXT_BYTES, "%s%s%s%s%s", p.os, p.arch[0] ? "/" : "",
		       p.arch, p.variant[0] ? "/" : "", p.variant);
	return buf;
}

bool rb_platform_eq(const struct rb_platform *a, const struct rb_platform *b)
{
	struct rb_platform x = *a, y = *b;

	normalize(&x);
	normalize(&y);
	return rb_streq(x.os, y.os) && rb_streq(x.arch, y.arch) && rb_streq(x.variant, y.variant);
}

/* "v7" -> 7; 0 for text that is not a number after the v. */
static unsigned variant_level(const struct rb_platform *p)
{
	const char *v = p->variant[0] ? p->variant : default_variant(p->arch);
	uint64_t level = 0;

	if (v[0] != 'v' || rb_parse_u64(rb_slice_str(v + 1), 99, &level) < 0)
		return 0;
	return (unsigned)level;
}

int rb_platform_match(const struct rb_platform *want, const struct rb_platform *have)
{
	enum { EXACT = 100, UNSPECIFIED = 1 };
	struct rb_platform w = *want, h = *have;

	normalize(&w);
	normalize(&h);
	if (!rb_streq(w.os, h.os) || !rb_streq(w.arch, h.arch))
		return 0;
	if (rb_streq(w.variant, h.variant))
		return EXACT;
	unsigned wl = variant_level(&w), hl = variant_level(&h);
	if (wl && hl) /* a processor runs the code of its predecessors */
		return hl < wl ? EXACT - (int)(wl - hl) : 0;
	/* Architectures whose variants are no sequence: one that is not named serves all. */
	return !w.variant[0] || !h.variant[0] ? UNSPECIFIED : 0;
}
