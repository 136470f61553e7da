/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exporters: what solve/ computed becomes layers with digests, an image config, names in the store,
 * an OCI image layout or plain files (dockerfile.md 7). Takes solve/'s result as its input.
 *
 *	rb_solve_image -> rb_output_layers -> rb_output_image        names in the store
 *	                                   -> rb_output_oci          archive or directory
 *	               -> rb_output_local                            files
 *
 * Nothing here forks, so a worker of its own may compress with threads.
 */
#ifndef RB_OUTPUT_OUTPUT_H
#define RB_OUTPUT_OUTPUT_H

#include "layer/layer.h"
#include "snapshot/snapshot.h"
#include "solve/solve.h"
#include "store/store.h"

enum rb_output_type {
	RB_OUTPUT_IMAGE,
	RB_OUTPUT_OCI,
	RB_OUTPUT_LOCAL,
	RB_OUTPUT_CACHEONLY,
	RB_OUTPUT_CACHE_LOCAL,  /* --cache-to */
	RB_OUTPUT_CACHE_INLINE, /* --cache-to */
};

/*
 * --output, a line of CSV whose fields may be quoted ("dest=a,b"):
 *
 *	DIR                                   type=local,dest=DIR
 *	type=image[,name=NAMES]               NAMES: one or several, separated by commas
 *	type=oci,dest=PATH[,name=NAMES][,tar=BOOL][,compression=C][,compression-level=N]
 *		both also [,rewrite-timestamp=BOOL]
 *	type=local,dest=DIR[,keep-special=BOOL][,platform-split=BOOL]
 *		all three also [,source-date-epoch=SECONDS]; empty: none, whatever the build has
 *	type=cacheonly
 *
 * --cache-to likewise:
 *
 *	type=local,dest=DIR[,mode=min|max][,tag=NAME][,reset=BOOL][,ignore-error=BOOL]
 *		[,compression=C][,compression-level=N]
 *	type=inline
 */
struct rb_output_spec {
	enum rb_output_type type;
	char *dest;                      /* oci, local; else NULL */
	struct rb_strv names;            /* normalised, with tag; empty: those of -t count */
	bool as_dir;                     /* oci: tar=false */
	enum rb_compression compression; /* oci: of layers that are made; gzip by default */
	int level;                       /* oci: -1: default of the compressor */
	bool keep_special;               /* local */
	bool has_epoch;                  /* source-date-epoch=N, instead of that of the build */
	int64_t epoch;
	bool no_epoch;      /* source-date-epoch=: none, whatever the build has */
	bool rewrite_times; /* image, oci: rewrite-timestamp= */
	int platform_split; /* local: a directory for each platform; -1: for several */
	bool all_steps;     /* cache: mode=max */
	bool ignore_error;  /* cache */
	bool reset;         /* cache: blobs that nothing names any more are removed */
	char *tag;          /* cache; NULL: latest */
};

/* Errors: USAGE (unknown type, key or value, with a suggestion), UNSUPPORTED (known elsewhere, not
 * here yet). */
int rb_output_spec_parse(const char *text, struct rb_output_spec *ret, struct rb_error **err);
int rb_output_cache_parse(const char *text, struct rb_output_spec *ret, struct rb_error **err);
/*
 * Whether the result could be written to spec->dest now, so that nobody builds for an hour to hear
 * that there is no such directory. Leaves nothing behind. Errors: USAGE, SYS.
 */
int rb_output_spec_check(const struct rb_output_spec *spec, struct rb_error **err);
void rb_output_spec_clear(struct rb_output_spec *spec);
/* Adds the normalised form of a name with a tag (`-t`); USAGE for a bad one or one with a digest.
 */
int rb_output_add_name(struct rb_strv *names, const char *text, struct rb_error **err);

/* How layers that have no blob are to be made. */
struct rb_output_blobs {
	enum rb_compression compression;
	int level;        /* -1: default */
	unsigned threads; /* 1: none are started */
};

/*
 * Whether rb_output_layers() would find all it needs: then it and the exporters that follow need
 * neither the user namespace nor time.
 */
bool rb_output_layers_known(struct rb_store *store, const struct rb_solved_image *im,
			    const struct rb_output_blobs *blobs);
/*
 * Completes the layers and config.diff_ids. `blobs` NULL: only diff IDs are wanted; else every
 * layer gets a blob in the store: base layers theirs as they came, layers of this and earlier
 * builds one of the wanted compression. What is computed is recorded in the snapshots, so it is
 * done once. Layers without a snapshot must have their blobs in the store when `blobs` is given
 * (rb_solve_materialize). Errors: CORRUPT when a layer no longer has its diff ID, NOTFOUND when a
 * blob is missing.
 */
int rb_output_layers(struct rb_store *store, struct rb_snapshotter *snapshots,
		     struct rb_solved_image *im, const struct rb_output_blobs *blobs,
		     struct rb_error **err);

/*
 * Writes the config blob and binds `names` (normalised; may be empty) to it. `rung` is that of the
 * snapshots. When all layers have blobs in the store a manifest is written and recorded too, and
 * the image can be used on every rung; without, a base that was never unpacked is NOTFOUND, because
 * nothing could find its layers again.
 */
int rb_output_image(struct rb_store *store, struct rb_snapshotter *snapshots,
		    const struct rb_solved_image *im, const struct rb_strv *names, const char *rung,
		    struct rb_digest *ret_image_id, struct rb_error **err);

/*
 * Writes the manifests of images of several platforms and the index of them into the store; all
 * layers must have been completed with blobs. *ret is the digest of the index (dockerfile.md 7.4).
 */
int rb_output_index(struct rb_store *store, const struct rb_solved_image *images, size_t n,
		    struct rb_digest *ret, struct rb_error **err);

/*
 * The image as one output gives it: with the epoch of the spec, else its own, what is new in its
 * history was made at that time or earlier (dockerfile.md 7.5). Layers are as they are in `im`. The
 * caller clears *ret.
 */
void rb_output_dated_image(const struct rb_solved_image *im, const struct rb_output_spec *spec,
			   struct rb_solved_image *ret);
/*
 * rewrite-timestamp: makes the layers of this build anew, with no time in them later than the
 * epoch. They have blobs in the store then, and no snapshots. Nothing to do without an epoch.
 */
int rb_output_rewrite_layers(struct rb_store *store, struct rb_snapshotter *snapshots,
			     struct rb_solved_image *im, const struct rb_output_blobs *blobs,
			     struct rb_error **err);

/* The manifest of an image whose layers have all blobs, or the index of n images. */
struct rb_blob rb_output_manifest_blob(const struct rb_solved_image *images, size_t n,
				       bool as_index);

/* Digest of the config of an image whose layers are complete: the image ID. */
struct rb_digest rb_output_image_id(const struct rb_solved_image *im);

/*
 * Writes an OCI image layout: a tar file, or with spec->as_dir a directory, which must be missing
 * or empty. Made beside spec->dest and renamed when complete: an error leaves nothing. Layers must
 * have been completed with blobs; their bytes are verified as they are copied. `names` (may be
 * empty): the first is written into the index, unless the spec has its own. The same image gives
 * the same bytes. `as_index`: index.json names an index of the n images (one a platform), which it
 * does not for one image otherwise. *ret is the digest of what it names.
 */
int rb_output_oci(struct rb_store *store, const struct rb_solved_image *images, size_t n,
		  bool as_index, const struct rb_output_spec *spec, const struct rb_strv *names,
		  struct rb_digest *ret, struct rb_error **err);

/*
 * Writes the layers and keys of steps (of all, or of the target's own, as spec->all_steps says) to
 * spec->dest, an OCI layout that is made when missing; what other tags name there stays. Inside the
 * user namespace: layers may have to be made.
 */
int rb_output_cache(struct rb_store *store, struct rb_snapshotter *snapshots,
		    const struct rb_solved_step *steps, size_t n, const struct rb_output_spec *spec,
		    unsigned threads, struct rb_error **err);
/* The same as a text for the image's own config (inline_cache); caller frees. */
char *rb_output_cache_inline(const struct rb_solved_image *im, const struct rb_solved_step *steps,
			     size_t n);

/*
 * Copies the tree of snapshot `top` into spec->dest, which is made when missing. Files belong to
 * the caller; modes are kept, and times unless spec->has_epoch gives another one; setuid and setgid
 * bits and capabilities only with keep_special (threats S45); devices and sockets are left out.
 * Nothing in dest is followed (S12): a link or file in the way is replaced, a directory in the way
 * of a file is an error, other files stay. Sentences about what was left out are appended to
 * *notices. Inside the user namespace.
 */
int rb_output_local(struct rb_snapshotter *snapshots, const char *top,
		    const struct rb_output_spec *spec, struct rb_strv *notices,
		    struct rb_error **err);

#endif
