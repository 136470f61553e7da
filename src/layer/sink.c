// SPDX-License-Identifier: Apache-2.0
/*
 * The way of a layer's bytes out: collected into blocks, hashed for the diff ID, each block
 * compressed by itself (a gzip member, a zstd frame), written and hashed again in order. Blocks do
 * not depend on each other, so that any number of threads gives the same blob.
 */
#include <libdeflate.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "layer/layer-internal.h"

enum { BLOCK_BYTES = 1 << 20, THREADS_MAX = 64 };

/* One compressor per thread. */
struct codec {
	const struct codec_ops *ops;
	void *ctx;
};

struct codec_ops {
	int level_default, level_max;
	void *(*new)(int level);
	void (*free)(void *ctx);
	size_t (*bound)(size_t len);
	/* Compressed size, or 0. */
	size_t (*run)(void *ctx, const void *in, size_t len, void *out, size_t room);
};

static void *gzip_new(int level)
{
	return libdeflate_alloc_compressor(level);
}

static void gzip_free(void *ctx)
{
	libdeflate_free_compressor(ctx);
}

static size_t gzip_bound(size_t len)
{
	return libdeflate_gzip_compress_bound(NULL, len);
}

/* libdeflate writes neither name nor time into the member's header. */
static size_t gzip_run(void *ctx, const void *in, size_t len, void *out, size_t room)
{
	return libdeflate_gzip_compress(ctx, in, len, out, room);
}

static void *zstd_new(int level)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (c && (ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level)) ||
		  ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)))) {
		ZSTD_freeCCtx(c);
		c = NULL;
	}
	return c;
}

static void zstd_free(void *ctx)
{
	ZSTD_freeCCtx(ctx);
}

static size_t zstd_bound(size_t len)
{
	return ZSTD_compressBound(len);
}

static size_t zstd_run(void *ctx, const void *in, size_t len, void *out, size_t room)
{
	size_t n = ZSTD_compress2(ctx, out, room, in, len);

	return ZSTD_isError(n) ? 0 : n;
}

static const struct codec_ops codecs[] = {
	[RB_COMPRESSION_GZIP] = {6, 9, gzip_new, gzip_free, gzip_bound, gzip_run},
	[RB_COMPRESSION_ZSTD] = {3, 22, zstd_new, zstd_free, zstd_bound, zstd_run},
};

enum slot_state { SLOT_FREE, SLOT_QUEUED, SLOT_DONE };

struct slot {
	enum slot_state state;
	uint8_t *in, *out;
	size_t in_len, out_len;
};

struct rb_layer_sink {
	const struct rb_layer_write_spec *spec;
	const struct codec_ops *ops; /* NULL: bytes go out as they are, or nowhere */
	int level;
	struct rb_hash *diff, *blob;
	uint64_t diff_size, blob_size;

	/* A ring: blocks [head, tail) are on their way, slot tail is being filled. */
	struct slot *slots;
	size_t n_slots;
	uint64_t head, tail;
	void *ctx; /* without threads */

	pthread_t *threads;
	size_t n_threads;
	pthread_mutex_t lock;
	pthread_cond_t queued, done;
	uint64_t next; /* first block nobody has taken */
	bool stop;
};

static struct slot *slot_of(struct rb_layer_sink *s, uint64_t i)
{
	return &s->slots[i % s->n_slots];
}

static void compress_slot(const struct rb_layer_sink *s, void *ctx, struct slot *slot)
{
	slot->out_len =
		s->ops->run(ctx, slot->in, slot->in_len, slot->out, s->ops->bound(BLOCK_BYTES));
}

static void *compress_thread(void *arg)
{
	struct rb_layer_sink *s = arg;
	void *ctx = s->ops->new (s->level);

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->stop && s->next == s->tail)
			pthread_cond_wait(&s->queued, &s->lock);
		if (s->stop)
			break;
		struct slot *slot = slot_of(s, s->next++);
		pthread_mutex_unlock(&s->lock);
		if (ctx)
			compress_slot(s, ctx, slot);
		pthread_mutex_lock(&s->lock);
		slot->state = SLOT_DONE;
		pthread_cond_signal(&s->done);
	}
	pthread_mutex_unlock(&s->lock);
	if (ctx)
		s->ops->free(ctx);
	return NULL;
}

/* Signals stay with the thread that called: it is the one that waits for them. */
static void start_threads(struct rb_layer_sink *s, unsigned n)
{
	sigset_t all, old;

	s->threads = rb_calloc(n, sizeof(*s->threads));
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	while (s->n_threads < n &&
	       pthread_create(&s->threads[s->n_threads], NULL, compress_thread, s) == 0)
		s->n_threads++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int choose_codec(struct rb_layer_sink *s, struct rb_error **err)
{
	const struct rb_layer_write_spec *spec = s->spec;

	if (!spec->write || spec->compression == RB_COMPRESSION_NONE)
		return 0;
	s->ops = &codecs[spec->compression];
	s->level = spec->level < 0 ? s->ops->level_default : spec->level;
	if (s->level > s->ops->level_max)
		return rb_fail(err, RB_ERR_USAGE, "compression level %d is not between 0 and %d",
			       s->level, s->ops->level_max);
	return 0;
}

struct rb_layer_sink *rb_layer_sink_new(const struct rb_layer_write_spec *spec,
					struct rb_error **err)
{
	RB_CLEANUP(rb_layer_sink_freep) struct rb_layer_sink *s = rb_calloc(1, sizeof(*s));
	unsigned threads = spec->threads < THREADS_MAX ? spec->threads : THREADS_MAX;

	s->spec = spec;
	s->diff = rb_hash_new();
	s->blob = rb_hash_new();
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->queued, NULL);
	(void)pthread_cond_init(&s->done, NULL);
	if (choose_codec(s, err) < 0)
		return NULL;
	if (s->ops && threads > 1)
		start_threads(s, threads);
	/* Two blocks a thread, so that none waits while the oldest is written. */
	s->n_slots = s->n_threads ? 2 * s->n_threads : 1;
	s->slots = rb_calloc(s->n_slots, sizeof(*s->slots));
	for (size_t i = 0; i < s->n_slots; i++) {
		s->slots[i].in = rb_malloc(BLOCK_BYTES);
		s->slots[i].out = s->ops ? rb_malloc(s->ops->bound(BLOCK_BYTES)) : NULL;
	}
	if (s->ops && !s->n_threads && !(s->ctx = s->ops->new (s->level))) {
		(void)rb_fail(err, RB_ERR_SYS, "cannot start the compressor");
		return NULL;
	}
	return rb_steal_ptr(&s);
}

void rb_layer_sink_free(struct rb_layer_sink *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->queued);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < s->n_threads; i++)
		(void)pthread_join(s->threads[i], NULL);
	free(s->threads);
	for (size_t i = 0; i < s->n_slots; i++) {
		free(s->slots[i].in);
		free(s->slots[i].out);
	}
	free(s->slots);
	if (s->ctx)
		s->ops->free(s->ctx);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->queued);
	(void)pthread_cond_destroy(&s->done);
	rb_hash_free(s->diff);
	rb_hash_free(s->blob);
	free(s);
}

static int write_out(struct rb_layer_sink *s, const void *data, size_t len, struct rb_error **err)
{
	rb_hash_add(s->blob, data, len);
	s->blob_size += len;
	return s->spec->write(s->spec->ctx, data, len, err);
}

/* Writes the oldest block, waiting for it if need be. */
static int retire(struct rb_layer_sink *s, struct rb_error **err)
{
	struct slot *slot = slot_of(s, s->head);

	pthread_mutex_lock(&s->lock);
	while (slot->state != SLOT_DONE)
		pthread_cond_wait(&s->done, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (slot->out_len == 0)
		return rb_fail(err, RB_ERR_SYS, "the compressor failed (out of memory?)");
	if (write_out(s, slot->out, slot->out_len, err) < 0)
		return -1;
	slot->state = SLOT_FREE;
	slot->in_len = slot->out_len = 0;
	s->head++;
	return 0;
}

static int queue(struct rb_layer_sink *s, struct rb_error **err)
{
	pthread_mutex_lock(&s->lock);
	slot_of(s, s->tail++)->state = SLOT_QUEUED;
	pthread_cond_signal(&s->queued);
	pthread_mutex_unlock(&s->lock);
	return s->tail - s->head == s->n_slots ? retire(s, err) : 0;
}

static int pass_on(struct rb_layer_sink *s, struct rb_error **err)
{
	struct slot *slot = slot_of(s, s->tail);
	int r = 0;

	rb_hash_add(s->diff, slot->in, slot->in_len);
	s->diff_size += slot->in_len;
	if (s->n_threads)
		return queue(s, err);
	if (s->ops) {
		compress_slot(s, s->ctx, slot);
		r = slot->out_len ? write_out(s, slot->out, slot->out_len, err)
				  : rb_fail(err, RB_ERR_SYS, "the compressor failed");
	} else if (s->spec->write) {
		r = write_out(s, slot->in, slot->in_len, err);
	}
	slot->in_len = 0;
	return r;
}

int rb_layer_sink_room(struct rb_layer_sink *s, void **ret, size_t *ret_len, struct rb_error **err)
{
	if (slot_of(s, s->tail)->in_len == BLOCK_BYTES && pass_on(s, err) < 0)
		return -1;
	struct slot *slot = slot_of(s, s->tail);
	*ret = slot->in + slot->in_len;
	*ret_len = BLOCK_BYTES - slot->in_len;
	return 0;
}

void rb_layer_sink_advance(struct rb_layer_sink *s, size_t len)
{
	slot_of(s, s->tail)->in_len += len;
}

int rb_layer_sink_add(struct rb_layer_sink *s, const void *data, uint64_t len,
		      struct rb_error **err)
{
	const char *p = data;

	while (len) {
		void *room;
		size_t n;

		if (rb_layer_sink_room(s, &room, &n, err) < 0)
			return -1;
		n = len < n ? (size_t)len : n;
		if (p)
			memcpy(room, p, n);
		else
			memset(room, 0, n);
		p = p ? p + n : NULL;
		rb_layer_sink_advance(s, n);
		len -= n;
	}
	return 0;
}

int rb_layer_sink_finish(struct rb_layer_sink *s, struct rb_layer_write_result *ret,
			 struct rb_error **err)
{
	struct rb_layer_write_result res = {0};

	/* Nothing at all still makes one empty member or frame. */
	if ((s->diff_size == 0 || slot_of(s, s->tail)->in_len) && pass_on(s, err) < 0)
		return -1;
	while (s->head < s->tail)
		if (retire(s, err) < 0)
			return -1;
	res.diff = rb_hash_final(s->diff);
	res.diff_size = s->diff_size;
	if (s->spec->write) {
		res.blob = rb_hash_final(s->blob);
		res.blob_size = s->blob_size;
	}
	*ret = res;
	return 0;
}
