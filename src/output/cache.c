// SPDX-License-Identifier: Apache-2.0
/*
 * --cache-to (dockerfile.md 6.3): the steps' layers and keys, for builds elsewhere.
 *
 * As a directory it is an OCI layout whose index names one manifest a tag; the manifest's config is
 * the cache config (image/cache-config.h). Files are published one by one, the index last, so that
 * readers see the cache before or after. Builds that write to one directory do so in turn (flock).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "context/layout.h"
#include "image/cache-config.h"
#include "image/manifest.h"
#include "output/output-internal.h"

#define TEMP_PREFIX ".rbuild-"

enum { INDEX_DEPTH_MAX = 4 };

struct cache_writer {
	struct rb_store *store;
	struct rb_snapshotter *snapshots;
	const struct rb_output_blobs *blobs;
	struct rb_cache_config config;
};

/* --- what is in it --- */

/* The layers of a tree; *ret is the index of the topmost one. */
static int add_chain(struct cache_writer *w, const char *id, size_t *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv chain = RB_STRV_INIT;

	*ret = RB_CACHE_NO_PARENT;
	if (rb_snapshot_chain(w->snapshots, id, &chain, err) < 0)
		return -1;
	for (size_t i = 0; i < chain.n; i++) {
		RB_CLEANUP(rb_strp) char *created = NULL;
		struct rb_solved_layer l;

		if (rb_output_snapshot_layer(w->store, w->snapshots, chain.v[i], w->blobs, &l,
					     &created, err) < 0)
			return -1;
		*ret = rb_cache_config_add_layer(&w->config,
						 (struct rb_cache_layer){
							 .blob = l.blob,
							 .size = l.blob_size,
							 .media_type = rb_strdup(l.media_type),
							 .diff_id = l.diff_id,
							 .created = rb_steal_ptr(&created),
							 .parent = *ret,
						 });
	}
	return 0;
}

static int collect(struct cache_writer *w, const struct rb_solved_step *steps, size_t n, bool all,
		   struct rb_error **err)
{
	for (size_t i = 0; i < n; i++) {
		size_t layer;

		if (!all && !steps[i].of_target)
			continue;
		if (add_chain(w, steps[i].snapshot, &layer, err) < 0)
			return -1;
		rb_cache_config_add_record(&w->config, &steps[i].key, layer);
	}
	return 0;
}

char *rb_output_cache_inline(const struct rb_solved_image *im, const struct rb_solved_step *steps,
			     size_t n)
{
	struct rb_cache_config config = {0};

	for (size_t i = 0; i < im->n_layers; i++)
		(void)rb_cache_config_add_layer(&config,
						(struct rb_cache_layer){
							.blob = im->layers[i].diff_id,
							.parent = i ? i - 1 : RB_CACHE_NO_PARENT,
						});
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < im->n_layers && steps[i].of_target; k++)
			if (rb_streq(im->layers[k].snapshot, steps[i].snapshot))
				rb_cache_config_add_record(&config, &steps[i].key, k);
	char *text = rb_cache_config_dump_inline(&config);
	rb_cache_config_clear(&config);
	return text;
}

/* --- the directory --- */

static int fail(const struct rb_output_spec *spec, int neg, struct rb_error **err)
{
	return rb_fail_sys(err, neg, "cannot write the cache %s%s", spec->dest,
			   neg == -ENOSPC || neg == -EDQUOT
				   ? " (free some space or choose another place)"
				   : "");
}

/*
 * The lock of those who write, until the directory is closed: what one has found there would be
 * replaced, or removed by reset, by another one. A file system without locks has to do without.
 */
static void have_alone(int fd, const struct rb_output_spec *spec)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return;
	rb_log_warn("waiting for another build that writes the cache %s", spec->dest);
	while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
}

static int open_dest(const struct rb_output_spec *spec, struct rb_error **err)
{
	int r = rb_mkdirs_at(AT_FDCWD, spec->dest, 0777);

	if (r < 0)
		return fail(spec, r, err);
	RB_CLEANUP(rb_closep) int fd = open(spec->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(spec, -errno, err);
	have_alone(fd, spec);
	r = rb_mkdirs_at(fd, "blobs/sha256", 0777);
	return r < 0 ? fail(spec, r, err) : rb_steal_fd(&fd);
}

static void blob_path(const struct rb_digest *d, char path[static 96])
{
	char hex[RB_DIGEST_TEXT_BYTES];

	(void)snprintf(path, 96, "blobs/sha256/%s", rb_digest_hex(d, hex));
}

static bool has_file(int dir, const char *path, uint64_t size)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == size;
}

struct blob_target {
	const struct rb_output_spec *spec;
	int fd;
};

static int write_blob(void *ctx, const void *data, size_t len, struct rb_error **err)
{
	const struct blob_target *t = ctx;
	int r = rb_write_full(t->fd, data, len);

	return r < 0 ? fail(t->spec, r, err) : 0;
}

/* Beside its place, then renamed: whoever reads the cache sees whole blobs only. */
static int put_blob(struct cache_writer *w, int dir, const struct rb_output_spec *spec,
		    const struct rb_cache_layer *l, struct rb_error **err)
{
	char path[96], temp[128], rnd[17];

	blob_path(&l->blob, path);
	if (has_file(dir, path, l->size))
		return 0;
	rb_random_hex(rnd, 8);
	(void)snprintf(temp, sizeof(temp), "blobs/sha256/" TEMP_PREFIX "%s", rnd);
	RB_CLEANUP(rb_closep)
	int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return fail(spec, -errno, err);
	struct blob_target t = {.spec = spec, .fd = fd};
	int r = rb_output_copy_blob(w->store, &l->blob, l->size, write_blob, &t, err);
	if (r == 0 && (r = rb_close_written(&fd)) < 0)
		r = fail(spec, r, err);
	if (r == 0 && renameat(dir, temp, dir, path) < 0)
		r = fail(spec, -errno, err);
	if (r < 0)
		(void)unlinkat(dir, temp, 0);
	return r;
}

static int put_text(int dir, const char *text, struct rb_digest *ret, struct rb_error **err)
{
	char path[96];

	*ret = rb_digest_of(text, strlen(text));
	blob_path(ret, path);
	return has_file(dir, path, strlen(text))
		       ? 0
		       : rb_publish_at(dir, path, text, strlen(text), 0644, err);
}

static char *make_manifest(const struct cache_writer *w, const struct rb_digest *config,
			   uint64_t size)
{
	struct rb_manifest m = {
		.kind = RB_DOC_MANIFEST,
		.config = {.media_type = rb_strdup(RB_MT_CACHE_CONFIG),
			   .digest = *config,
			   .size = size},
		.layers = rb_calloc(w->config.n_layers, sizeof(*m.layers)),
	};

	for (size_t i = 0; i < w->config.n_layers; i++) {
		const struct rb_cache_layer *l = &w->config.layers[i];
		bool listed = false;

		for (size_t k = 0; k < m.n_layers && !listed; k++)
			listed = rb_digest_eq(&m.layers[k].digest, &l->blob);
		if (!listed)
			m.layers[m.n_layers++] = (struct rb_descriptor){
				.media_type = rb_strdup(l->media_type),
				.digest = l->blob,
				.size = l->size,
			};
	}
	char *text = rb_manifest_dump(&m);
	rb_manifest_clear(&m);
	return text;
}

/* Empty when there is none yet. */
static int read_index(int dir, struct rb_buf *ret, struct rb_error **err)
{
	if (faccessat(dir, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	return rb_layout_read_json(dir, "index.json", ret, err);
}

static int put_index(int dir, const struct rb_output_spec *spec, const struct rb_digest *manifest,
		     uint64_t size, struct rb_manifest *ret, struct rb_error **err)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	RB_CLEANUP(rb_buf_clear) struct rb_buf old = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *tag = rb_strdup(spec->tag ? spec->tag : "latest");
	RB_CLEANUP(rb_strp) char *media_type = rb_strdup(RB_MT_OCI_MANIFEST);
	RB_CLEANUP(rb_strp) char *text = NULL;
	const struct rb_descriptor entry = {
		.media_type = media_type, .digest = *manifest, .size = size, .ref_name = tag};

	if (read_index(dir, &old, err) < 0 || !(text = rb_index_put(old.ptr, old.len, &entry, err)))
		return rb_wrap(err, "cannot add to the cache, which other tags may be in; remove "
				    "the directory to start it anew");
	if (rb_manifest_parse(text, strlen(text), RB_MT_OCI_INDEX, ret, err) < 0)
		return -1;
	return rb_publish_at(dir, "oci-layout", layout, strlen(layout), 0644, err) < 0
		       ? -1
		       : rb_publish_at(dir, "index.json", text, strlen(text), 0644, err);
}

/* --- reset: what no manifest of the index names --- */

static void add_name(struct rb_strv *names, const struct rb_digest *d)
{
	char hex[RB_DIGEST_TEXT_BYTES];

	rb_strv_add(names, rb_digest_hex(d, hex));
}

/* What one manifest names. */
static int add_named(int dir, const struct rb_descriptor *d, struct rb_strv *names,
		     struct rb_manifest *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	char path[96];

	blob_path(&d->digest, path);
	if (rb_layout_read_json(dir, path, &text, err) < 0 ||
	    rb_manifest_parse(text.ptr, text.len, d->media_type, ret, err) < 0)
		return -1;
	add_name(names, &d->digest);
	if (ret->kind == RB_DOC_MANIFEST)
		add_name(names, &ret->config.digest);
	for (size_t i = 0; i < ret->n_layers; i++)
		add_name(names, &ret->layers[i].digest);
	return 0;
}

/*
 * All that an index leads to. A manifest that cannot be read names nothing we could know: then
 * nothing is removed. One that is not there at all, as of a platform that nobody has fetched, has
 * nothing here.
 */
static int add_index(int dir, const struct rb_manifest *index, unsigned depth,
		     struct rb_strv *names, struct rb_error **err)
{
	if (depth == INDEX_DEPTH_MAX)
		return rb_fail(err, RB_ERR_UNSUPPORTED, "indexes within indexes, more than %d deep",
			       INDEX_DEPTH_MAX);
	for (size_t i = 0; i < index->n_layers; i++) {
		RB_CLEANUP(rb_manifest_clear) struct rb_manifest m = {.kind = RB_DOC_MANIFEST};

		if (add_named(dir, &index->layers[i], names, &m, err) < 0) {
			if (!depth || (*err)->code != RB_ERR_NOTFOUND)
				return -1;
			rb_error_drop(err);
		} else if (m.kind == RB_DOC_INDEX &&
			   add_index(dir, &m, depth + 1, names, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* Whether it is ours to remove: a blob, or what a killed build left of one. */
static bool is_blob(const char *name)
{
	size_t n = strlen(name);

	return n == 64 || (n > 64 && rb_starts_with(name + 64, ".tmp-")) ||
	       rb_starts_with(name, TEMP_PREFIX);
}

static int prune(int dir, const struct rb_manifest *index, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;

	if (add_index(dir, index, 0, &names, err) < 0)
		return rb_wrap(err, "reset=true removes nothing");
	int fd = openat(dir, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		rb_closep(&fd);
		return rb_fail_errno(err, "cannot read blobs/sha256");
	}
	for (struct dirent *e; (e = readdir(d));)
		if (is_blob(e->d_name) && rb_strv_find(&names, e->d_name) < 0)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	(void)closedir(d);
	return 0;
}

/* --- the whole --- */

static int write_dir(struct cache_writer *w, const struct rb_output_spec *spec,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int dir = open_dest(spec, err);
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest index = {.kind = RB_DOC_INDEX};
	RB_CLEANUP(rb_strp) char *config = rb_cache_config_dump(&w->config);
	struct rb_digest config_digest, digest;

	if (dir < 0)
		return -1;
	for (size_t i = 0; i < w->config.n_layers; i++)
		if (put_blob(w, dir, spec, &w->config.layers[i], err) < 0)
			return -1;
	if (put_text(dir, config, &config_digest, err) < 0)
		return -1;
	RB_CLEANUP(rb_strp) char *manifest = make_manifest(w, &config_digest, strlen(config));
	if (put_text(dir, manifest, &digest, err) < 0 ||
	    put_index(dir, spec, &digest, strlen(manifest), &index, err) < 0)
		return -1;
	return spec->reset ? prune(dir, &index, err) : 0;
}

int rb_output_cache(struct rb_store *store, struct rb_snapshotter *snapshots,
		    const struct rb_solved_step *steps, size_t n, const struct rb_output_spec *spec,
		    unsigned threads, struct rb_error **err)
{
	const struct rb_output_blobs blobs = {
		.compression = spec->compression, .level = spec->level, .threads = threads};
	struct cache_writer w = {.store = store, .snapshots = snapshots, .blobs = &blobs};
	int r = collect(&w, steps, n, spec->all_steps, err);

	if (r == 0)
		r = write_dir(&w, spec, err);
	rb_cache_config_clear(&w.config);
	return r;
}
