// SPDX-License-Identifier: Apache-2.0
/*
 * The stat cache of one context directory: one file below the store's cache/, read and written
 * whole.
 *
 *	struct header, n struct record sorted by key, SHA-256 of all that
 *
 * in the machine's own byte order: a file of another order has a wrong magic number and is no more
 * than a missing one. The key is a hash of the path; what makes a record count are the five values
 * of lstat(2) in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "base/log.h"
#include "context/context-internal.h"

#define MAGIC 0x3163617473627200u /* "\0rbstac1" in little endian */

enum {
	RECORDS_MAX = 1 << 20,
	KEEP_DAYS = 30, /* of records that no build asks for any more */
	NS_PER_S = 1000000000,
	DAY_S = 24 * 60 * 60,
};

/*
 * Time stamps come from a clock that ticks at least every 10 ms; a file system without nanoseconds
 * has at worst two seconds (FAT).
 */
static const int64_t fine_ns = 50000000, coarse_ns = 2500000000;

struct header {
	uint64_t magic, n;
};

struct record {
	uint64_t key;
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
	uint32_t day; /* when it was last asked for, in days since the epoch */
	uint32_t reserved;
	uint8_t digest[32];
};

struct rb_statcache {
	int dirfd;
	char *name;
	struct rb_buf file; /* what was read */
	struct record *old; /* in `file`, sorted */
	size_t n_old;
	struct record *fresh; /* what was put, in that order */
	size_t n_fresh, cap_fresh;
	uint32_t *index; /* hash table over fresh: place + 1, 0 is free */
	size_t n_index;  /* a power of two, or 0 */
	uint32_t today;
};

int64_t rb_statcache_now_ns(void)
{
	struct timespec t;

	/* The clock that time stamps of files are made of. */
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* FNV-1a. */
static uint64_t key_of(const char *path)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 0x100000001b3u;
	return h;
}

static bool to_ns(const struct timespec *t, int64_t *ret)
{
	return !__builtin_mul_overflow((int64_t)t->tv_sec, (int64_t)NS_PER_S, ret) &&
	       !__builtin_add_overflow(*ret, (int64_t)t->tv_nsec, ret);
}

static bool fill(struct record *r, const char *path, const struct stat *st)
{
	*r = (struct record){.key = key_of(path),
			     .dev = st->st_dev,
			     .ino = st->st_ino,
			     .size = (uint64_t)st->st_size};
	return to_ns(&st->st_mtim, &r->mtime_ns) && to_ns(&st->st_ctim, &r->ctime_ns);
}

static bool same_entry(const struct record *a, const struct record *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* --- reading --- */

static bool is_sound(const struct rb_buf *b)
{
	struct header h;
	struct rb_digest sum;

	if (b->len < sizeof(h) + sizeof(sum.bytes))
		return false;
	memcpy(&h, b->ptr, sizeof(h));
	if (h.magic != MAGIC || h.n > RECORDS_MAX ||
	    b->len != sizeof(h) + h.n * sizeof(struct record) + sizeof(sum.bytes))
		return false;
	sum = rb_digest_of(b->ptr, b->len - sizeof(sum.bytes));
	return memcmp(sum.bytes, b->ptr + b->len - sizeof(sum.bytes), sizeof(sum.bytes)) == 0;
}

static void load(struct rb_statcache *sc)
{
	const size_t max = sizeof(struct header) + RECORDS_MAX * sizeof(struct record) + 32;
	struct rb_error *err = NULL;

	if (rb_read_file_at(sc->dirfd, sc->name, max, &sc->file, &err) < 0) {
		rb_error_drop(&err); /* a cache: everything is hashed again, and it is replaced */
		return;
	}
	if (!is_sound(&sc->file)) {
		rb_log_debug("stat cache %s is damaged and not used", sc->name);
		return;
	}
	/* Both are aligned: malloc'ed, behind a header of two words. */
	sc->old = (struct record *)(void *)(sc->file.ptr + sizeof(struct header));
	sc->n_old = (sc->file.len - sizeof(struct header)) / sizeof(struct record);
}

int rb_statcache_open(struct rb_store *store, const struct rb_context *c, struct rb_statcache **ret,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int dirfd = rb_store_dir(store, "cache", err);
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();
	char hex[RB_DIGEST_TEXT_BYTES];
	struct timespec now;

	if (dirfd < 0)
		return rb_wrap(err, "cannot open the cache of file checksums");
	rb_hash_addstr(h, c->abs_path);
	rb_hash_addu64(h, c->dev);
	rb_hash_addu64(h, c->ino);
	struct rb_digest id = rb_hash_final(h);
	struct rb_statcache *sc = rb_calloc(1, sizeof(*sc));
	sc->dirfd = rb_steal_fd(&dirfd);
	sc->name = rb_asprintf("statcache-%.32s", rb_digest_hex(&id, hex));
	sc->file = (struct rb_buf)RB_BUF_INIT;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	sc->today = (uint32_t)(now.tv_sec / DAY_S);
	load(sc);
	*ret = sc;
	return 0;
}

void rb_statcache_free(struct rb_statcache *sc)
{
	if (!sc)
		return;
	rb_closep(&sc->dirfd);
	rb_buf_clear(&sc->file);
	free(sc->fresh);
	free(sc->index);
	free(sc->name);
	free(sc);
}

/* --- asking and putting --- */

/* The first of the records with a key; two paths with one hash keep the place of one. */
static struct record *find(const struct rb_statcache *sc, uint64_t key)
{
	size_t lo = 0, hi = sc->n_old;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (sc->old[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < sc->n_old && sc->old[lo].key == key ? &sc->old[lo] : NULL;
}

/* Where the key is in the index, or the free place for it. The key is a hash itself. */
static size_t index_slot(const struct rb_statcache *sc, uint64_t key)
{
	size_t i = key & (sc->n_index - 1);

	while (sc->index[i] && sc->fresh[sc->index[i] - 1].key != key)
		i = (i + 1) & (sc->n_index - 1);
	return i;
}

/* What was put in this build: several COPYs take the same files, and each looks at them once more
 * when it is done. */
static struct record *find_fresh(const struct rb_statcache *sc, uint64_t key)
{
	uint32_t at = sc->n_index ? sc->index[index_slot(sc, key)] : 0;

	return at ? &sc->fresh[at - 1] : NULL;
}

static void add_fresh(struct rb_statcache *sc, const struct record *r)
{
	struct record *known = find_fresh(sc, r->key);

	if (known) {
		*known = *r;
		return;
	}
	if (2 * sc->n_fresh >= sc->n_index) {
		do
			sc->n_index = sc->n_index ? 2 * sc->n_index : 1024;
		while (2 * sc->n_fresh >= sc->n_index);
		free(sc->index);
		sc->index = rb_calloc(sc->n_index, sizeof(*sc->index));
		for (size_t i = 0; i < sc->n_fresh; i++)
			sc->index[index_slot(sc, sc->fresh[i].key)] = (uint32_t)i + 1;
	}
	rb_grow(sc->fresh, sc->n_fresh, &sc->cap_fresh);
	sc->fresh[sc->n_fresh++] = *r;
	sc->index[index_slot(sc, r->key)] = (uint32_t)sc->n_fresh;
}

bool rb_statcache_get(struct rb_statcache *sc, const char *path, const struct stat *st,
		      struct rb_digest *ret)
{
	struct record want, *r;

	if (!fill(&want, path, st))
		return false;
	r = find_fresh(sc, want.key);
	if (!r)
		r = find(sc, want.key);
	if (!r || !same_entry(r, &want))
		return false;
	r->day = sc->today;
	memcpy(ret->bytes, r->digest, sizeof(r->digest));
	return true;
}

/* Whether a change after `started_ns` is sure to show in the change time. */
static bool is_settled(const struct stat *st, int64_t ctime_ns, int64_t started_ns)
{
	return ctime_ns < started_ns - (st->st_ctim.tv_nsec ? fine_ns : coarse_ns);
}

void rb_statcache_put(struct rb_statcache *sc, const char *path, const struct stat *before,
		      const struct stat *after, int64_t started_ns, const struct rb_digest *digest)
{
	struct record a, b;

	if (!fill(&a, path, before) || !fill(&b, path, after) || !same_entry(&a, &b) ||
	    !is_settled(after, b.ctime_ns, started_ns))
		return;
	b.day = sc->today;
	memcpy(b.digest, digest->bytes, sizeof(b.digest));
	add_fresh(sc, &b);
}

/* --- writing --- */

static int by_key(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static bool is_kept(const struct rb_statcache *sc, const struct record *r, bool only_today)
{
	return only_today ? r->day == sc->today : sc->today - r->day <= KEEP_DAYS;
}

/* Old and fresh records in one order, a fresh one instead of the old one of its key. */
static size_t merge(const struct rb_statcache *sc, bool only_today, struct rb_buf *ret)
{
	size_t i = 0, j = 0, n = 0;

	while (i < sc->n_old || j < sc->n_fresh) {
		const struct record *r;

		if (j < sc->n_fresh && (i == sc->n_old || sc->fresh[j].key <= sc->old[i].key)) {
			while (i < sc->n_old && sc->old[i].key == sc->fresh[j].key)
				i++;
			r = &sc->fresh[j++];
		} else {
			r = &sc->old[i++];
			if (!is_kept(sc, r, only_today))
				continue;
		}
		rb_buf_add(ret, r, sizeof(*r));
		n++;
	}
	return n;
}

int rb_statcache_save(struct rb_statcache *sc, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	struct header h = {.magic = MAGIC};

	if (!sc->n_fresh)
		return 0;
	qsort(sc->fresh, sc->n_fresh, sizeof(*sc->fresh), by_key);
	sc->n_index = 0;
	rb_buf_add(&b, &h, sizeof(h));
	h.n = merge(sc, false, &b);
	if (h.n > RECORDS_MAX) {
		rb_buf_truncate(&b, sizeof(h));
		h.n = merge(sc, true, &b);
	}
	if (h.n > RECORDS_MAX) { /* a context of this size does without the rest */
		h.n = RECORDS_MAX;
		rb_buf_truncate(&b, sizeof(h) + h.n * sizeof(struct record));
	}
	memcpy(b.ptr, &h, sizeof(h));
	struct rb_digest sum = rb_digest_of(b.ptr, b.len);
	rb_buf_add(&b, sum.bytes, sizeof(sum.bytes));
	if (rb_publish_at(sc->dirfd, sc->name, b.ptr, b.len, 0600, err) < 0)
		return rb_wrap(err, "cannot save the cache of file checksums");
	/* What was written is what is known from now on. */
	rb_buf_clear(&sc->file);
	sc->file = b;
	b = (struct rb_buf)RB_BUF_INIT;
	sc->old = (struct record *)(void *)(sc->file.ptr + sizeof(h));
	sc->n_old = h.n;
	sc->n_fresh = 0;
	return 0;
}
