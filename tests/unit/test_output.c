// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "image/manifest.h"
#include "output/import.h"
#include "output/output-internal.h"
#include "scratch.h"

static void write_file(const char *name, const void *data, size_t len)
{
	struct rb_error *err = NULL;

	CHECK_INT(rb_publish_at(scratch_fd, name, data, len, 0644, &err), 0);
	CHECK_OK(&err);
}

/* --- --output TEXT */

static void test_spec__parses(void)
{
	static const struct {
		const char *text;
		struct rb_output_spec want;
		const char *dest, *name;
	} cases[] = {
		{"out", {.type = RB_OUTPUT_LOCAL, .level = -1}, "out", NULL},
		{"type=local,dest=./out", {.type = RB_OUTPUT_LOCAL, .level = -1}, "./out", NULL},
		{"dest=o,keep-special=TRUE,type=local",
		 {.type = RB_OUTPUT_LOCAL, .level = -1, .keep_special = true},
		 "o",
		 NULL},
		{"type=oci,\"dest=a,\"\"b\"", {.type = RB_OUTPUT_OCI, .level = -1}, "a,\"b", NULL},
		{"TYPE=oci,Dest=x,tar=false,compression=zstd,compression-level=19",
		 {.type = RB_OUTPUT_OCI,
		  .level = 19,
		  .as_dir = true,
		  .compression = RB_COMPRESSION_ZSTD},
		 "x",
		 NULL},
		{"type=oci,dest=x,compression=uncompressed",
		 {.type = RB_OUTPUT_OCI, .level = -1, .compression = RB_COMPRESSION_NONE},
		 "x",
		 NULL},
		{"type=image,\"name=a,b:1\"",
		 {.type = RB_OUTPUT_IMAGE, .level = -1},
		 NULL,
		 "docker.io/library/a:latest"},
		{"type=cacheonly", {.type = RB_OUTPUT_CACHEONLY, .level = -1}, NULL, NULL},
		/* What is so anyway. */
		{"type=image,push=false,store=1,oci-mediatypes=true,unpack=F,name-canonical=0",
		 {.type = RB_OUTPUT_IMAGE, .level = -1},
		 NULL,
		 NULL},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_output_spec s;
		struct rb_error *err = NULL;
		enum rb_compression want = cases[i].want.compression;

		CHECK_INT(rb_output_spec_parse(cases[i].text, &s, &err), 0);
		CHECK_OK(&err);
		if (!strstr(cases[i].text, "compression="))
			want = RB_COMPRESSION_GZIP;
		CHECK_INT(s.type, cases[i].want.type);
		CHECK_INT(s.compression, want);
		CHECK_INT(s.level, cases[i].want.level);
		CHECK_INT(s.as_dir, cases[i].want.as_dir);
		CHECK_INT(s.keep_special, cases[i].want.keep_special);
		CHECK_STR(s.dest, cases[i].dest);
		CHECK_STR(s.names.n ? s.names.v[0] : NULL, cases[i].name);
		rb_output_spec_clear(&s);
	}
}

static void test_spec__refuses(void)
{
	static const struct {
		const char *text;
		enum rb_err code;
		const char *part;
	} cases[] = {
		{"", RB_ERR_USAGE, "dest"},
		{"-", RB_ERR_UNSUPPORTED, "standard output"},
		{"type=oci,dest=-", RB_ERR_UNSUPPORTED, "standard output"},
		{"type=oci,dest=x,annotation.org.example=y", RB_ERR_UNSUPPORTED,
		 "the key annotation.org.example of type=oci is not supported yet: --label"},
		{"type=image,annotation-manifest[linux/amd64].a=b", RB_ERR_UNSUPPORTED,
		 "the key annotation-manifest[linux/amd64].a of type=image is not supported yet: "
		 "--label"},
		{"type=local,dest=x,mode=delete", RB_ERR_UNSUPPORTED,
		 "the key mode of type=local is not supported yet, but for copy"},
		{"type=tar,dest=x", RB_ERR_UNSUPPORTED, "type=tar is not supported yet"},
		{"type=docker", RB_ERR_UNSUPPORTED, "type=docker is not supported yet"},
		{"type=registry,name=x", RB_ERR_UNSUPPORTED, "type=registry is not supported yet"},
		{"type=locl,dest=x", RB_ERR_USAGE, "unknown type \"locl\" (did you mean local?)"},
		{"dest=x", RB_ERR_USAGE, "type is required"},
		{"type=oci", RB_ERR_USAGE, "type=oci needs dest=FILE"},
		{"type=local", RB_ERR_USAGE, "type=local needs dest=DIR"},
		{"type=oci,dst=x", RB_ERR_USAGE, "no key \"dst\" (did you mean dest?)"},
		{"type=local,dest=x,compression=gzip", RB_ERR_USAGE, "no key \"compression\""},
		{"type=image,push=true", RB_ERR_UNSUPPORTED, "the key push of type=image"},
		{"type=image,oci-mediatypes=false", RB_ERR_UNSUPPORTED,
		 "the key oci-mediatypes of type=image is not supported yet, but for true"},
		{"type=oci,dest=x,compression=estargz", RB_ERR_UNSUPPORTED, "estargz"},
		{"type=oci,dest=x,compression=gz", RB_ERR_USAGE, "expected gzip, zstd"},
		{"type=oci,dest=x,compression-level=10", RB_ERR_USAGE, "0 to 9, not 10"},
		{"type=oci,dest=x,compression-level=x", RB_ERR_USAGE, "a number from 0"},
		{"type=oci,dest=x,compression=uncompressed,compression-level=1", RB_ERR_USAGE,
		 "needs compression=gzip or zstd"},
		{"type=oci,dest=x,tar=maybe", RB_ERR_USAGE, "expected true or false"},
		{"type=oci,dest", RB_ERR_USAGE, "\"dest\" is not key=value"},
		{"type=oci,\"dest=x", RB_ERR_USAGE, "not closed"},
		{"type=oci,\"dest=x\"y", RB_ERR_USAGE, "not closed"},
		{"type=oci,dest=\"x\"", RB_ERR_USAGE, "around a whole field"},
		{"type=image,name=X", RB_ERR_USAGE, "must be lowercase"},
		{"type=image,name=", RB_ERR_USAGE, "the name is empty"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_output_spec s;
		struct rb_error *err = NULL;

		CHECK_INT(rb_output_spec_parse(cases[i].text, &s, &err), -1);
		CHECK_INT(err ? err->code : 0, cases[i].code);
		CHECK_ERR(&err, cases[i].part);
	}
	struct rb_strv names = RB_STRV_INIT;
	struct rb_error *err = NULL;
	CHECK_INT(rb_output_add_name(&names,
				     "a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123"
				     "456789abcdef",
				     &err),
		  -1);
	CHECK_ERR(&err, "the digest is not known");
	CHECK_INT(names.n, 0);
}

/* --- OCI layouts */

/* An image of two layers whose blobs are in the store. */
static void make_image(struct rb_store *store, struct rb_solved_image *im)
{
	static const char *const layers[] = {"first layer", "second layer"};
	struct rb_error *err = NULL;

	memset(im, 0, sizeof(*im));
	im->config.platform = rb_platform_host();
	im->config.created = rb_strdup("2026-01-01T00:00:00Z");
	im->layers = rb_calloc(RB_ARRAY_LEN(layers), sizeof(*im->layers));
	im->n_layers = RB_ARRAY_LEN(layers);
	for (size_t i = 0; i < im->n_layers; i++) {
		struct rb_solved_layer *l = &im->layers[i];
		struct rb_blob b;

		CHECK_INT(rb_store_put_blob(store, layers[i], strlen(layers[i]), &b, &err), 0);
		CHECK_OK(&err);
		*l = (struct rb_solved_layer){.has_diff = true,
					      .diff_id = b.digest,
					      .has_blob = true,
					      .blob = b.digest,
					      .blob_size = b.size};
		(void)snprintf(l->media_type, sizeof(l->media_type), "%s", RB_MT_OCI_LAYER);
		rb_image_config_add_diff(&im->config, &b.digest);
	}
}

static void free_image(struct rb_solved_image *im)
{
	rb_image_config_clear(&im->config);
	free(im->layers);
}

static int export(struct rb_store *store, const struct rb_solved_image *im, const char *name,
		  bool as_dir, const struct rb_strv *names, struct rb_digest *ret,
		  struct rb_error **err)
{
	struct rb_output_spec spec = {.type = RB_OUTPUT_OCI, .dest = place(name), .as_dir = as_dir};
	int r = rb_output_oci(store, im, 1, false, &spec, names, ret, err);

	rb_output_spec_clear(&spec);
	return r;
}

static int load(struct rb_store *store, const char *name, const struct rb_strv *names,
		struct rb_loaded_list *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = place(name);
	struct rb_platform host = rb_platform_host();

	return rb_load_oci(store, path, names, &host, ret, err);
}

static void test_oci__is_read_back(void)
{
	static const bool forms[] = {false, true};
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("from");
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	const struct rb_strv none = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct rb_solved_image im;

	make_image(store, &im);
	CHECK_INT(rb_output_add_name(&names, "app:1.0", &err), 0);
	for (size_t i = 0; i < RB_ARRAY_LEN(forms); i++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("layout%zu", i);
		RB_CLEANUP(rb_strp) char *to = rb_asprintf("to%zu", i);
		RB_CLEANUP(rb_store_freep) struct rb_store *other = open_store(to);
		struct rb_loaded_list loaded = {0};
		struct rb_image_record r = {0};
		struct rb_digest manifest, id = rb_output_image_id(&im);
		char platform[RB_PLATFORM_TEXT_BYTES];

		CHECK_INT(export(store, &im, name, forms[i], &names, &manifest, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(load(other, name, &none, &loaded, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(loaded.n, 1);
		if (loaded.n == 1) {
			CHECK_STR(loaded.v[0].name, "docker.io/library/app:1.0");
			CHECK(rb_digest_eq(&loaded.v[0].image, &id));
		}
		CHECK_INT(rb_store_get_image(other, "docker.io/library/app:1.0",
					     rb_platform_text(&im.config.platform, platform), &r,
					     &err),
			  0);
		CHECK_OK(&err);
		CHECK(rb_digest_eq(&r.manifest, &manifest));
		CHECK_STR(r.origin, "load");
		CHECK(rb_store_has_blob(other, &im.layers[1].blob, NULL));
		rb_image_record_clear(&r);
		rb_loaded_list_clear(&loaded);
	}
	free_image(&im);
}

static void test_oci__is_deterministic_and_replaces_a_file(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("det");
	RB_CLEANUP(rb_buf_clear) struct rb_buf one = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf two = RB_BUF_INIT;
	const struct rb_strv none = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct rb_solved_image im;
	struct rb_digest d;

	make_image(store, &im);
	im.layers[1] = im.layers[0]; /* a layer may occur twice; its blob does not */
	CHECK_INT(export(store, &im, "one.tar", false, &none, &d, &err), 0);
	write_file("two.tar", "old", 3);
	CHECK_INT(export(store, &im, "two.tar", false, &none, &d, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(rb_read_file_at(scratch_fd, "one.tar", 1 << 20, &one, &err), 0);
	CHECK_INT(rb_read_file_at(scratch_fd, "two.tar", 1 << 20, &two, &err), 0);
	CHECK_OK(&err);
	CHECK(one.len == two.len && one.len % 512 == 0 && memcmp(one.ptr, two.ptr, one.len) == 0);
	free_image(&im);
}

static int count_entries(const char *dir)
{
	RB_CLEANUP(rb_strp) char *command = rb_asprintf("ls -A '%s/%s' | wc -l", scratch, dir);
	FILE *f = popen(command, "r");
	int n = -1;

	if (!f || fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		(void)pclose(f);
	return n;
}

static void test_oci__fails_without_leaving_anything(void)
{
	static const bool forms[] = {false, true};
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("fail");
	const struct rb_strv none = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct rb_solved_image im;
	struct rb_digest d;
	struct rlimit old, small;

	make_image(store, &im);
	CHECK_INT(mkdirat(scratch_fd, "bad", 0755), 0);
	CHECK_INT(mkdirat(scratch_fd, "bad/full", 0755), 0);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, SIG_IGN); /* a write fails as on a full disk */
	small = (struct rlimit){.rlim_cur = 8, .rlim_max = old.rlim_max};
	for (size_t i = 0; i < RB_ARRAY_LEN(forms); i++) {
		CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
		CHECK_INT(export(store, &im, "bad/full/x", forms[i], &none, &d, &err), -1);
		CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
		CHECK_ERR(&err, "bad/full/x");
		CHECK_INT(count_entries("bad/full"), 0);
	}
	/* a damaged blob never reaches the result */
	char path[128], hex[RB_DIGEST_TEXT_BYTES];
	(void)snprintf(path, sizeof(path), "blobs/sha256/%s",
		       rb_digest_hex(&im.layers[0].blob, hex));
	CHECK_INT(rb_publish_at(rb_store_fd(store), path, "First layer", 11, 0444, &err), 0);
	for (size_t i = 0; i < RB_ARRAY_LEN(forms); i++) {
		CHECK_INT(export(store, &im, "bad/full/x", forms[i], &none, &d, &err), -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_CORRUPT);
		CHECK_ERR(&err, "is damaged");
		CHECK_INT(count_entries("bad/full"), 0);
	}
	free_image(&im);
}

static void test_oci__takes_no_place_that_is_in_use(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("place");
	const struct rb_strv none = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct rb_solved_image im;
	struct rb_digest d;
	static const struct {
		const char *dest;
		bool as_dir;
		const char *part;
	} cases[] = {
		{"used", false, "is not a regular file (tar=false writes a directory)"},
		{"used", true, "is not an empty directory"},
		{"used/file", true, "is not an empty directory"},
		{"fifo", false, "is not a regular file"},
		{"missing/x", false, "cannot open the directory"},
		{"used/..", false, "cannot be replaced"},
	};

	make_image(store, &im);
	CHECK_INT(mkdirat(scratch_fd, "used", 0755), 0);
	CHECK_INT(mkdirat(scratch_fd, "empty", 0755), 0);
	CHECK_INT(mkfifoat(scratch_fd, "fifo", 0644), 0);
	write_file("used/file", "", 0);
	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		CHECK_INT(export(store, &im, cases[i].dest, cases[i].as_dir, &none, &d, &err), -1);
		CHECK_ERR(&err, cases[i].part);
	}
	CHECK_INT(count_entries("used"), 1);
	CHECK_INT(export(store, &im, "empty/", true, &none, &d, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(faccessat(scratch_fd, "empty/index.json", R_OK, 0), 0);
	free_image(&im);
}

/* --- load */

/* Gives every layout file of `name` (a directory) to tar, with `change` made before. */
static void repack(const char *change, const char *name, const char *tar_options)
{
	RB_CLEANUP(rb_strp)
	char *command = rb_asprintf("cd '%s/%s' && %s && tar %s -cf ../%s.tar .", scratch, name,
				    change, tar_options, name);

	CHECK_INT(system(command), 0); /* NOLINT: a test's own words */
}

static void test_load__refuses_what_is_damaged(void)
{
	static const struct {
		const char *change, *part;
	} cases[] = {
		{"rm index.json", "it has no index.json"},
		{"rm oci-layout", "it has no oci-layout"},
		{"rm index.json; echo '[]' > manifest.json", "docker-archive (docker save)"},
		{"echo '{\"imageLayoutVersion\":\"2.0\"}' > oci-layout", "version \"2.0\""},
		{"echo x > index.json", "not valid JSON"},
		{"sed -i s/sha256:/sha512:/ index.json", "lower case hex digits"},
		{"sed -i 's/\"size\": [0-9]*/\"size\": 1/' index.json",
		 "but its descriptor says 1"},
		{"rm blobs/sha256/$(printf 'first layer' | sha256sum | cut -c1-64)", "is missing"},
		{"printf x > blobs/sha256/$(printf 'first layer' | sha256sum | cut -c1-64)",
		 "is damaged"},
		{"sed -i /annotations/,/}/d index.json", "name it with -t"},
		{"sed -i '/image.name/d;s/: \"1\"/: \"latest\"/' index.json", "name it with -t"},
	};
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("damage");
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	const struct rb_strv none = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct rb_solved_image im;
	struct rb_digest d;

	make_image(store, &im);
	CHECK_INT(rb_output_add_name(&names, "app:1", &err), 0);
	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("damage%zu", i);
		RB_CLEANUP(rb_strp) char *tar = rb_asprintf("%s.tar", name);
		RB_CLEANUP(rb_strp) char *to = rb_asprintf("damage-to%zu", i);
		RB_CLEANUP(rb_store_freep) struct rb_store *other = open_store(to);
		struct rb_loaded_list loaded = {0};

		CHECK_INT(export(store, &im, name, true, &names, &d, &err), 0);
		CHECK_OK(&err);
		repack(cases[i].change, name, "");
		CHECK_INT(load(other, tar, &none, &loaded, &err), -1);
		CHECK_ERR(&err, cases[i].part);
		if (strstr(cases[i].change, "manifest.json"))
			continue; /* a directory is never a docker-archive */
		CHECK_INT(load(other, name, &none, &loaded, &err), -1);
		CHECK_ERR(&err, cases[i].part);
	}
	free_image(&im);
}

static void test_load__reads_compressed_archives_and_takes_names(void)
{
	static const char *const options[] = {"", "--gzip", "--zstd"};
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("gz");
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	const struct rb_strv none = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct rb_solved_image im;
	struct rb_digest d;

	make_image(store, &im);
	CHECK_INT(export(store, &im, "gz-layout", true, &none, &d, &err), 0);
	CHECK_INT(rb_output_add_name(&names, "x", &err), 0);
	CHECK_INT(rb_output_add_name(&names, "y:2", &err), 0);
	for (size_t i = 0; i < RB_ARRAY_LEN(options); i++) {
		RB_CLEANUP(rb_strp) char *to = rb_asprintf("gz-to%zu", i);
		RB_CLEANUP(rb_store_freep) struct rb_store *other = open_store(to);
		struct rb_loaded_list loaded = {0};

		repack("true", "gz-layout", options[i]);
		CHECK_INT(load(other, "gz-layout.tar", &names, &loaded, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(loaded.n, 2);
		CHECK_STR(loaded.n == 2 ? loaded.v[1].name : NULL, "docker.io/library/y:2");
		rb_loaded_list_clear(&loaded);
	}
	free_image(&im);
}

static void test_load__names_formats_it_does_not_read(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("formats");
	const struct rb_strv none = RB_STRV_INIT;
	struct rb_loaded_list loaded = {0};
	struct rb_error *err = NULL;
	static const struct {
		const char *data;
		size_t len;
		const char *part;
	} cases[] = {
		{"\xfd"
		 "7zXZ\0",
		 6, "xz is not supported"},
		{"BZh91AY", 7, "bzip2 is not supported"},
		{"garbage of some length", 22, "not a tar archive"},
		{"", 0, "not a tar archive"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		write_file("format", cases[i].data, cases[i].len);
		CHECK_INT(load(store, "format", &none, &loaded, &err), -1);
		CHECK_ERR(&err, cases[i].part);
	}
	CHECK_INT(load(store, "nothing-here", &none, &loaded, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
	CHECK_ERR(&err, "cannot open");
	CHECK_INT(mkfifoat(scratch_fd, "pipe", 0644), 0);
	CHECK_INT(load(store, "pipe", &none, &loaded, &err), -1);
	CHECK_ERR(&err, "is not a regular file");
}

/* --- import */

static void make_tar(const char *make, const char *options, const char *name)
{
	RB_CLEANUP(rb_strp)
	char *command = rb_asprintf("mkdir -p '%s/rootfs' && cd '%s/rootfs' && rm -rf ./* .wh.* && "
				    "{ %s; } && tar %s -cf ../%s .",
				    scratch, scratch, make, options, name);

	CHECK_INT(system(command), 0); /* NOLINT: a test's own words */
}

static int import(struct rb_store *store, const char *name, struct rb_digest *ret,
		  struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = place(name);

	return rb_import_rootfs(store, path, "docker.io/library/base:1", "import", ret, err);
}

static void test_import__makes_an_image_of_one_layer(void)
{
	static const struct {
		const char *options, *media_type;
	} cases[] = {
		{"", RB_MT_OCI_LAYER},
		{"--gzip", RB_MT_OCI_LAYER_GZIP},
		{"--zstd", RB_MT_OCI_LAYER_ZSTD},
	};
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("import");
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	struct rb_error *err = NULL;
	struct rb_digest id, diff = {{0}};
	char platform[RB_PLATFORM_TEXT_BYTES];
	struct rb_platform host = rb_platform_host();

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
		struct rb_image_record r = {0};
		struct rb_manifest m = {.kind = RB_DOC_MANIFEST};
		struct rb_image_config c = {0};

		make_tar("mkdir -p etc && echo x > etc/x && ln -s x etc/y", cases[i].options,
			 "rootfs.tar");
		if (i == 0) {
			CHECK_INT(rb_read_file_at(scratch_fd, "rootfs.tar", 1 << 20, &tar, &err),
				  0);
			diff = rb_digest_of(tar.ptr, tar.len);
		}
		CHECK_INT(import(store, "rootfs.tar", &id, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(rb_store_get_image(store, "docker.io/library/base:1",
					     rb_platform_text(&host, platform), &r, &err),
			  0);
		CHECK_OK(&err);
		CHECK(rb_digest_eq(&r.config, &id));
		CHECK_STR(r.origin, "import");
		CHECK(r.snapshot == NULL);
		CHECK_INT(rb_store_read_blob(store, &r.manifest, 1 << 20, &text, &err), 0);
		CHECK_INT(rb_manifest_parse(text.ptr, text.len, NULL, &m, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(m.n_layers, 1);
		CHECK_STR(m.n_layers ? m.layers[0].media_type : NULL, cases[i].media_type);
		CHECK_INT(rb_store_read_blob(store, &r.config, 1 << 20, &text, &err), 0);
		CHECK_INT(rb_image_config_parse(text.ptr, text.len, &c, &err), 0);
		CHECK_OK(&err);
		/* tar writes the same bytes each time but for the directory's time */
		if (i == 0)
			CHECK(c.n_diff_ids == 1 && rb_digest_eq(&c.diff_ids[0], &diff));
		CHECK(c.n_history == 1 && !c.history[0].empty_layer);
		CHECK_STR(c.env.n ? c.env.v[0] : NULL,
			  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
		rb_image_config_clear(&c);
		rb_manifest_clear(&m);
		rb_image_record_clear(&r);
	}
}

static void test_import__refuses(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("import-bad");
	struct rb_error *err = NULL;
	struct rb_digest id;
	static const struct {
		const char *make, *options, *after, *part;
	} cases[] = {
		{"mkdir d && touch d/.wh.x", "", "true", "d/.wh.x: names that begin with .wh."},
		{"touch .wh..wh..opq", "", "true", "names that begin with .wh."},
		{"touch x", "--xz", "true", "xz is not supported"},
		{"head -c 100000 /dev/zero > z", "", "truncate -s 50000 import-bad.tar", "archive"},
		{"head -c 100000 /dev/urandom > z", "--gzip", "truncate -s 50000 import-bad.tar",
		 "import-bad.tar"},
		{"touch x", "", "printf garbage > import-bad.tar", "archive"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_strp)
		char *after = rb_asprintf("cd '%s' && %s", scratch, cases[i].after);

		make_tar(cases[i].make, cases[i].options, "import-bad.tar");
		CHECK_INT(system(after), 0); /* NOLINT: a test's own words */
		CHECK_INT(import(store, "import-bad.tar", &id, &err), -1);
		CHECK_ERR(&err, cases[i].part);
	}
	/* nothing was stored */
	CHECK_INT(faccessat(rb_store_fd(store), "blobs", F_OK, 0), -1);
	CHECK_INT(import(store, ".", &id, &err), -1);
	CHECK_ERR(&err, "is a directory");
}

/* --- type=local */

static int copy_out(const char *from, const char *to, bool keep_special, struct rb_strv *notices,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int src = openat(scratch_fd, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *ledger = rb_ledger_new(1u << 31, 1u << 31);
	struct rb_output_spec spec = {
		.type = RB_OUTPUT_LOCAL, .dest = place(to), .keep_special = keep_special};
	int r = rb_output_tree(src, ledger, &spec, notices, err);

	rb_output_spec_clear(&spec);
	return r;
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	return fstatat(scratch_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static void check_content(const char *name, const char *want)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;

	CHECK_INT(rb_read_file_at(scratch_fd, name, 1 << 20, &text, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(text.ptr, want);
}

static void make_tree(void)
{
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1234567890, .tv_nsec = 5}};

	CHECK_INT(rb_mkdirs_at(scratch_fd, "tree/sub/deep", 0755), 0);
	write_file("tree/sub/file", "content", 7);
	write_file("tree/setuid", "s", 1);
	CHECK_INT(fchmodat(scratch_fd, "tree/setuid", 04711, 0), 0);
	CHECK_INT(symlinkat("/etc/passwd", scratch_fd, "tree/link"), 0);
	CHECK_INT(mkfifoat(scratch_fd, "tree/pipe", 0640), 0);
	CHECK_INT(utimensat(scratch_fd, "tree/sub/file", times, 0), 0);
	CHECK_INT(linkat(scratch_fd, "tree/sub/file", scratch_fd, "tree/other-name", 0), 0);
	CHECK_INT(fchmodat(scratch_fd, "tree/sub/deep", 0500, 0), 0);
	CHECK_INT(utimensat(scratch_fd, "tree/sub", times, 0), 0);
}

static void test_local__copies_a_tree(void)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv notices = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct stat st;
	char target[64] = "";

	make_tree();
	CHECK_INT(copy_out("tree", "made/out", false, &notices, &err), 0);
	CHECK_OK(&err);
	check_content("made/out/sub/file", "content");
	CHECK_INT(fstatat(scratch_fd, "made/out/sub/file", &st, 0), 0);
	CHECK_INT(st.st_mtim.tv_sec, 1234567890);
	CHECK_INT(st.st_nlink, 2);
	check_content("made/out/other-name", "content");
	CHECK_INT(fstatat(scratch_fd, "made/out/sub", &st, 0), 0);
	CHECK_INT(st.st_mtim.tv_sec, 1234567890);
	CHECK_INT(mode_of("made/out/sub/deep"), S_IFDIR | 0500);
	CHECK_INT(mode_of("made/out/pipe"), S_IFIFO | 0640);
	CHECK_INT(mode_of("made/out/setuid"), S_IFREG | 0711);
	CHECK_INT(readlinkat(scratch_fd, "made/out/link", target, sizeof(target) - 1), 11);
	CHECK_STR(target, "/etc/passwd");
	CHECK_INT(notices.n, 1);
	CHECK(notices.n && strstr(notices.v[0], "setuid or setgid bits of 1 entries"));
	/* once more, over what is there, with the bit */
	CHECK_INT(copy_out("tree", "made/out", true, &notices, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(mode_of("made/out/setuid"), S_IFREG | 04711);
	CHECK_INT(notices.n, 1);
}

/* threats S12: the destination holds links to a canary wherever the tree writes. */
static void test_local__follows_nothing_in_the_destination(void)
{
	static const char *const links[] = {"sub", "setuid", "link", "pipe"};
	RB_CLEANUP(rb_strv_clear) struct rb_strv notices = RB_STRV_INIT;
	RB_CLEANUP(rb_strp) char *canary = place("canary");
	RB_CLEANUP(rb_strp) char *canary_file = place("canary/file");
	struct rb_error *err = NULL;

	CHECK_INT(rb_mkdirs_at(scratch_fd, "canary", 0755), 0);
	CHECK_INT(rb_mkdirs_at(scratch_fd, "trap", 0755), 0);
	write_file("canary/file", "untouched", 9);
	write_file("trap/other", "mine", 4);
	for (size_t i = 0; i < RB_ARRAY_LEN(links); i++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("trap/%s", links[i]);

		CHECK_INT(symlinkat(i ? canary_file : canary, scratch_fd, name), 0);
	}
	CHECK_INT(copy_out("tree", "trap", false, &notices, &err), 0);
	CHECK_OK(&err);
	check_content("canary/file", "untouched");
	check_content("trap/other", "mine");
	check_content("trap/sub/file", "content");
	CHECK_INT(count_entries("canary"), 1);
	CHECK(S_ISDIR(mode_of("trap/sub")));
	CHECK(S_ISREG(mode_of("trap/setuid")));

	/* a hard link in the way: its other name keeps its content */
	CHECK_INT(rb_mkdirs_at(scratch_fd, "trap2", 0755), 0);
	CHECK_INT(linkat(scratch_fd, "canary/file", scratch_fd, "trap2/setuid", 0), 0);
	CHECK_INT(copy_out("tree", "trap2", false, &notices, &err), 0);
	CHECK_OK(&err);
	check_content("canary/file", "untouched");

	CHECK_INT(rb_mkdirs_at(scratch_fd, "trap3/setuid", 0755), 0);
	CHECK_INT(copy_out("tree", "trap3", false, &notices, &err), -1);
	CHECK_ERR(&err, "cannot replace the directory");
}

static void test_local__keeps_holes(void)
{
	enum { SIZE = 64 << 20 };
	RB_CLEANUP(rb_strv_clear) struct rb_strv notices = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct stat st;

	CHECK_INT(rb_mkdirs_at(scratch_fd, "sparse", 0755), 0);
	int fd = openat(scratch_fd, "sparse/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK_INT(pwrite(fd, "x", 1, SIZE / 2), 1);
	CHECK_INT(ftruncate(fd, SIZE), 0);
	close(fd);
	CHECK_INT(copy_out("sparse", "sparse-out", false, &notices, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(fstatat(scratch_fd, "sparse-out/f", &st, 0), 0);
	CHECK_INT(st.st_size, SIZE);
	CHECK(st.st_blocks < (SIZE / 512) / 4);
	CHECK_INT(notices.n, 0);
}

int main(void)
{
	return run_in_scratch((const struct tap_test[]){
		TAP(test_spec__parses),
		TAP(test_spec__refuses),
		TAP(test_oci__is_read_back),
		TAP(test_oci__is_deterministic_and_replaces_a_file),
		TAP(test_oci__fails_without_leaving_anything),
		TAP(test_oci__takes_no_place_that_is_in_use),
		TAP(test_load__refuses_what_is_damaged),
		TAP(test_load__reads_compressed_archives_and_takes_names),
		TAP(test_load__names_formats_it_does_not_read),
		TAP(test_import__makes_an_image_of_one_layer),
		TAP(test_import__refuses),
		TAP(test_local__copies_a_tree),
		TAP(test_local__follows_nothing_in_the_destination),
		TAP(test_local__keeps_holes),
		TAP_END,
	});
}
