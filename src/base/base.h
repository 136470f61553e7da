/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file of rbuild stands on: attributes, cleanup, memory that cannot fail, small
 * integers.
 *
 * Out of memory ends the program with one line: nothing here returns NULL for lack of it. Sizes
 * that come from input are checked against a named limit before they reach these functions.
 */
#ifndef RB_BASE_BASE_H
#define RB_BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define RB_NORETURN          __attribute__((noreturn))
#define RB_CLEANUP(fn)       __attribute__((cleanup(fn)))
#define RB_ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define RB_STRINGIFY_(x)     #x
#define RB_STRINGIFY(x)      RB_STRINGIFY_(x)
#define RB_HERE              __FILE__ ":" RB_STRINGIFY(__LINE__)

/* Defines `static inline rb_<type>_freep(struct rb_<type> **)` for RB_CLEANUP. */
#define RB_DEFINE_CLEANUP(type)                                                                    \
	static inline void type##_freep(struct type **p)                                           \
	{                                                                                          \
		if (*p)                                                                            \
			type##_free(*p);                                                           \
		*p = NULL;                                                                         \
	}

/* Moves ownership out of a cleanup variable: rb_steal_ptr(&p) yields p and leaves NULL. */
#define rb_steal_ptr(pp)                                                                           \
	({                                                                                         \
		__typeof__(*(pp)) stolen_ = *(pp);                                                 \
		*(pp) = NULL;                                                                      \
		stolen_;                                                                           \
	})

/* An impossible state: prints the message with its place and aborts. */
void rb_bug_at(const char *where, const char *fmt, ...) RB_PRINTF(2, 3) RB_NORETURN;
#define rb_bug(...) rb_bug_at(RB_HERE, __VA_ARGS__)

/* Allocation that ends the program instead of failing. Zero-sized requests give a valid pointer. */
void *rb_malloc(size_t size) __attribute__((malloc, returns_nonnull));
void *rb_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *rb_realloc(void *p, size_t size) __attribute__((returns_nonnull));
/* realloc of n * size with overflow check. */
void *rb_reallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *rb_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *rb_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *rb_asprintf(const char *fmt, ...) RB_PRINTF(1, 2) __attribute__((returns_nonnull));
char *rb_vasprintf(const char *fmt, va_list ap) RB_PRINTF(1, 0) __attribute__((returns_nonnull));

/* Makes room for one more element in a growing array; doubles. `n` is the number in use, `*cap` the
 * room. */
#define rb_grow(ptr, n, cap)                                                                       \
	do {                                                                                       \
		if ((n) == *(cap)) {                                                               \
			*(cap) = *(cap) ? *(cap)*2 : 8;                                            \
			(ptr) = rb_reallocarray((ptr), *(cap), sizeof(*(ptr)));                    \
		}                                                                                  \
	} while (0)

/* RB_CLEANUP(rb_strp) char *s = NULL; and the same for any malloc'ed pointer. */
static inline void rb_strp(char **p)
{
	__builtin_free(*p);
	*p = NULL;
}

/* Nanoseconds of the clock that nobody sets. */
int64_t rb_monotonic_ns(void);

static inline size_t rb_max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static inline size_t rb_min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Order of uint32_t, for qsort and bsearch. */
int rb_cmp_u32(const void *a, const void *b);

static inline bool rb_streq(const char *a, const char *b)
{
	return __builtin_strcmp(a, b) == 0;
}

bool rb_starts_with(const char *s, const char *prefix);
bool rb_ends_with(const char *s, const char *suffix);

/*
 * ASCII-only case helpers; the C library's depend on the locale.
 */
char rb_ascii_lower(char c);
char rb_ascii_upper(char c);
bool rb_ascii_strcaseeq(const char *a, const char *b);
bool rb_ascii_isalnum(char c);
bool rb_ascii_isalpha(char c);
bool rb_ascii_isdigit(char c);
/* Of a hexadecimal digit in either case; -1: it is none. */
int rb_ascii_hex_value(char c);

#endif
