// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "scratch.h"

static mode_t mode_of(struct rb_store *store, const char *rel)
{
	struct stat st;

	return fstatat(rb_store_fd(store), rel, &st, 0) < 0 ? 0 : st.st_mode & 07777;
}

static void count_line(void *ctx, const char *line)
{
	(void)line;
	++*(int *)ctx;
}

static void test_store__is_private_under_any_umask(void)
{
	static const mode_t masks[] = {0, 022, 077};

	for (size_t i = 0; i < RB_ARRAY_LEN(masks); i++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("mask/%zu", i);
		mode_t old = umask(masks[i]);
		RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store(name);
		struct rb_error *err = NULL;
		struct rb_blob blob;

		CHECK_INT(rb_store_put_blob(store, "x", 1, &blob, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(mode_of(store, "."), 0700);
		CHECK_INT(mode_of(store, "blobs"), 0700);
		CHECK_INT(mode_of(store, "blobs/sha256"), 0700);
		CHECK_INT(mode_of(store, "tmp"), 0700);
		(void)umask(old);
	}
}

static void check_open_fails(const char *name, const char *part)
{
	RB_CLEANUP(rb_strp) char *root = place(name);
	RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
	struct rb_error *err = NULL;

	CHECK_INT(rb_store_open(root, &store, &err), -1);
	CHECK_ERR(&err, part);
}

static void test_store__takes_only_what_is_its_own(void)
{
	struct rb_error *err = NULL;
	struct stat st;

	CHECK_INT(rb_mkdirs_at(scratch_fd, "home", 0755), 0);
	CHECK_INT(rb_publish_at(scratch_fd, "home/.profile", "", 0, 0644, &err), 0);
	check_open_fails("home", "neither empty nor a store");
	CHECK_INT(fstatat(scratch_fd, "home", &st, 0), 0);
	CHECK_INT(st.st_mode & 07777, 0755);

	CHECK_INT(rb_mkdirs_at(scratch_fd, "future", 0700), 0);
	CHECK_INT(rb_publish_at(scratch_fd, "future/version", "7\n", 2, 0600, &err), 0);
	check_open_fails("future", "layout \"7\", this one knows 1");

	CHECK_INT(rb_publish_at(scratch_fd, "file", "", 0, 0600, &err), 0);
	check_open_fails("file", "cannot open the store");
	CHECK_OK(&err);
}

static void test_store__refuses_loose_modes_and_owners(void)
{
	RB_CLEANUP(rb_strp) char *root = place("loose");
	struct rb_store *store = open_store("loose");

	rb_store_free(store);
	CHECK_INT(chmod(root, 0750), 0);
	check_open_fails("loose", "open to other users (mode 0750)");
	if (geteuid() != 0) {
		printf("# owner check needs root to make a foreign directory\n");
		return;
	}
	CHECK_INT(chmod(root, 0700), 0);
	CHECK_INT(chown(root, 12345, 12345), 0);
	check_open_fails("loose", "belongs to uid 12345, not to you (uid 0)");
}

static void test_store__adopts_an_empty_directory(void)
{
	CHECK_INT(rb_mkdirs_at(scratch_fd, "adopted", 0755), 0);
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("adopted");
	CHECK_INT(mode_of(store, "."), 0700);
	RB_CLEANUP(rb_store_freep) struct rb_store *again = open_store("adopted");
	CHECK_STR(rb_store_path(store), rb_store_path(again));
}

static void test_store__finds_its_place(void)
{
	RB_CLEANUP(rb_strp) char *data = place("data");
	RB_CLEANUP(rb_strp) char *root = place("root");
	const struct {
		const char *rbuild_root, *data_home, *home, *path;
	} cases[] = {
		{root, data, scratch, "root"},
		{NULL, data, scratch, "data/rbuild"},
		{NULL, "relative", scratch, ".local/share/rbuild"},
		{"", NULL, scratch, ".local/share/rbuild"},
	};
	struct rb_error *err = NULL;
	struct rb_store *store = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_strp) char *want = place(cases[i].path);

		(void)unsetenv("RBUILD_ROOT");
		(void)unsetenv("XDG_DATA_HOME");
		if (cases[i].rbuild_root)
			(void)setenv("RBUILD_ROOT", cases[i].rbuild_root, 1);
		if (cases[i].data_home)
			(void)setenv("XDG_DATA_HOME", cases[i].data_home, 1);
		(void)setenv("HOME", cases[i].home, 1);
		CHECK_INT(rb_store_open(NULL, &store, &err), 0);
		CHECK_OK(&err);
		CHECK_STR(store ? rb_store_path(store) : NULL, want);
		rb_store_free(rb_steal_ptr(&store));
	}
	(void)unsetenv("HOME");
	CHECK_INT(rb_store_open(NULL, &store, &err), -1);
	CHECK_ERR(&err, "HOME is not set");
}

static void test_blob__is_verified_before_it_is_seen(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("blob");
	struct rb_digest good = rb_digest_of("hello", 5), bad = rb_digest_of("x", 1);
	const struct {
		const struct rb_digest *want;
		uint64_t size;
		int result;
		const char *part;
	} cases[] = {
		{&bad, UINT64_MAX, -1, "expected sha256:2d7116"},
		{&good, 6, -1, "expected 6 bytes, got 5"},
		{&good, 5, 0, NULL},
		{NULL, UINT64_MAX, 0, NULL}, /* once more */
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_blob_writer_freep) struct rb_blob_writer *w = NULL;
		struct rb_error *err = NULL;
		struct rb_blob blob;
		uint64_t size = 0;

		CHECK_INT(rb_blob_writer_new(store, &w, &err), 0);
		CHECK_INT(rb_blob_writer_add(w, "he", 2, &err), 0);
		CHECK_INT(rb_blob_writer_add(w, "llo", 3, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(rb_blob_writer_commit(w, cases[i].want, cases[i].size, &blob, &err),
			  cases[i].result);
		if (cases[i].result < 0)
			CHECK_ERR(&err, cases[i].part);
		CHECK_OK(&err);
		CHECK_INT(rb_store_has_blob(store, &good, &size), cases[i].result == 0);
		CHECK_INT(size, cases[i].result == 0 ? 5 : 0);
	}
	char path[128], text[RB_DIGEST_TEXT_BYTES];
	(void)snprintf(path, sizeof(path), "blobs/sha256/%s", rb_digest_hex(&good, text));
	CHECK_INT(mode_of(store, path), 0444);
	/* nothing is left in tmp/: removing the directory works */
	CHECK_INT(unlinkat(rb_store_fd(store), "tmp", AT_REMOVEDIR), 0);
}

static void test_blob__damage_is_found_and_mended(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("damage");
	RB_CLEANUP(rb_buf_clear) struct rb_buf buf = RB_BUF_INIT;
	struct rb_digest d = rb_digest_of("hello", 5), none = rb_digest_of("none", 4);
	struct rb_error *err = NULL;
	struct rb_blob blob;
	char path[128], text[RB_DIGEST_TEXT_BYTES];
	struct stat before, after;

	CHECK_INT(rb_store_put_blob(store, "hello", 5, &blob, &err), 0);
	CHECK(rb_digest_eq(&blob.digest, &d));
	CHECK_INT(rb_store_read_blob(store, &d, 5, &buf, &err), 0);
	CHECK_STR(buf.ptr, "hello");
	CHECK_INT(rb_store_read_blob(store, &d, 4, &buf, &err), -1);
	CHECK_ERR(&err, "limit of 4 bytes");
	CHECK_INT(rb_store_read_blob(store, &none, 5, &buf, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
	CHECK_ERR(&err, "is not in the store");

	(void)snprintf(path, sizeof(path), "blobs/sha256/%s", rb_digest_hex(&d, text));
	CHECK_INT(rb_publish_at(rb_store_fd(store), path, "hellO", 5, 0444, &err), 0);
	CHECK_INT(rb_store_read_blob(store, &d, 5, &buf, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_CORRUPT);
	CHECK_ERR(&err, "does not hash to its name");
	CHECK_INT(rb_store_put_blob(store, "hello", 5, &blob, &err), 0);
	CHECK_INT(rb_store_read_blob(store, &d, 5, &buf, &err), 0);
	CHECK_OK(&err);
	/* What is there and whole is not written again. */
	CHECK_INT(fstatat(rb_store_fd(store), path, &before, 0), 0);
	CHECK_INT(rb_store_put_blob(store, "hello", 5, &blob, &err), 0);
	CHECK_INT(fstatat(rb_store_fd(store), path, &after, 0), 0);
	CHECK(before.st_ino == after.st_ino);

	CHECK(!rb_store_drop_damaged(store, &d));
	CHECK(rb_store_has_blob(store, &d, NULL));
	CHECK_INT(rb_publish_at(rb_store_fd(store), path, "hell", 4, 0444, &err), 0);
	CHECK(rb_store_drop_damaged(store, &d));
	CHECK(!rb_store_has_blob(store, &d, NULL));
	CHECK(!rb_store_drop_damaged(store, &d));
}

static void test_blob__a_full_disk_leaves_nothing(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("full");
	RB_CLEANUP(rb_blob_writer_freep) struct rb_blob_writer *w = NULL;
	struct rb_error *err = NULL;
	struct rlimit old, small;
	static const char data[8192];

	/* a file size limit fails a write as a full disk does */
	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
	CHECK_INT(rb_blob_writer_new(store, &w, &err), 0);
	small = (struct rlimit){.rlim_cur = 4096, .rlim_max = old.rlim_max};
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
	CHECK_INT(rb_blob_writer_add(w, data, sizeof(data), &err), -1);
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
	CHECK_INT(err ? err->code : 0, RB_ERR_SYS);
	CHECK_ERR(&err, "cannot write a blob in the store");
	rb_blob_writer_free(rb_steal_ptr(&w));
	CHECK_INT(unlinkat(rb_store_fd(store), "tmp", AT_REMOVEDIR), 0);
}

static void test_store__removes_old_temporaries(void)
{
	struct rb_store *store = open_store("reap");
	struct rb_error *err = NULL;
	struct timespec old[2] = {{.tv_sec = time(NULL) - 2 * 24 * 60 * 60}};
	struct rb_blob blob;

	old[1] = old[0];
	int tmp = rb_store_dir(store, "tmp", &err);
	CHECK_INT(rb_mkdirs_at(tmp, "old/deep", 0700), 0);
	CHECK_INT(rb_publish_at(tmp, "young", "", 0, 0600, &err), 0);
	CHECK_INT(utimensat(tmp, "old", old, 0), 0);
	CHECK_INT(rb_store_put_blob(store, "x", 1, &blob, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(faccessat(tmp, "old", F_OK, 0), -1);
	CHECK_INT(faccessat(tmp, "young", F_OK, 0), 0);
	close(tmp);
	rb_store_free(store);
}

static void test_record__damage_is_a_miss(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("record");
	RB_CLEANUP(rb_buf_clear) struct rb_buf buf = RB_BUF_INIT;
	struct rb_digest key = rb_digest_of("key", 3);
	struct rb_error *err = NULL;
	char path[128], text[RB_DIGEST_TEXT_BYTES];
	static const char *const damaged[] = {"", "sha256:", "sha256:0\nvalue"};

	CHECK_INT(rb_store_get_record(store, &key, &buf, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
	CHECK_ERR(&err, "No such file");
	CHECK_INT(rb_store_put_record(store, &key, "one", 3, &err), 0);
	CHECK_INT(rb_store_put_record(store, &key, "a\0b", 3, &err), 0);
	CHECK_INT(rb_store_get_record(store, &key, &buf, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(buf.len, 3);
	CHECK(memcmp(buf.ptr, "a\0b", 3) == 0);

	const char *hex = rb_digest_hex(&key, text);
	(void)snprintf(path, sizeof(path), "records/%.2s/%s", hex, hex);
	for (size_t i = 0; i < RB_ARRAY_LEN(damaged); i++) {
		CHECK_INT(rb_publish_at(rb_store_fd(store), path, damaged[i], strlen(damaged[i]),
					0600, &err),
			  0);
		CHECK_INT(rb_store_get_record(store, &key, &buf, &err), -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
		CHECK_ERR(&err, "is damaged");
	}
}

static struct rb_image_record record(const char *name, const char *platform, const char *seed)
{
	return (struct rb_image_record){
		.name = rb_strdup(name),
		.platform = rb_strdup(platform),
		.config = rb_digest_of(seed, strlen(seed)),
		.snapshot = rb_strdup("s1"),
		.rung = rb_strdup("range"),
		.resolved = 1700000000,
		.origin = rb_strdup("build"),
	};
}

static void put(struct rb_store *store, const char *name, const char *platform, const char *seed)
{
	struct rb_image_record r = record(name, platform, seed);
	struct rb_error *err = NULL;

	CHECK_INT(rb_store_put_image(store, &r, &err), 0);
	CHECK_OK(&err);
	rb_image_record_clear(&r);
}

static void test_images__names_are_bound_by_platform(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("images");
	struct rb_image_record r = {0};
	struct rb_error *err = NULL;

	put(store, "docker.io/library/x:1", "linux/amd64", "a");
	put(store, "docker.io/library/x:1", "linux/arm64", "b");
	put(store, "docker.io/library/x:1", "linux/amd64", "c");
	CHECK_INT(rb_store_get_image(store, "docker.io/library/x:1", "linux/amd64", &r, &err), 0);
	CHECK_OK(&err);
	struct rb_digest c = rb_digest_of("c", 1);
	CHECK(rb_digest_eq(&r.config, &c));
	CHECK(rb_digest_is_zero(&r.manifest));
	CHECK_STR(r.snapshot, "s1");
	CHECK_STR(r.rung, "range");
	CHECK_STR(r.origin, "build");
	CHECK_INT(r.resolved, 1700000000);
	rb_image_record_clear(&r);
	CHECK_INT(rb_store_get_image(store, "docker.io/library/x:1", "linux/386", &r, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
	CHECK_ERR(&err, "no image docker.io/library/x:1 for linux/386");
}

static int collect(void *ctx, const struct rb_image_record *r)
{
	rb_buf_addf(ctx, "%s %s;", r->name, r->platform);
	return rb_streq(r->name, "stop") ? -5 : 0;
}

static void test_images__are_listed_in_order(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("list");
	RB_CLEANUP(rb_buf_clear) struct rb_buf seen = RB_BUF_INIT;
	struct rb_error *err = NULL;
	int warnings = 0;

	CHECK_INT(rb_store_each_image(store, collect, &seen, &err), 0);
	CHECK_STR(seen.ptr, "");
	put(store, "b", "p", "1");
	put(store, "a", "q", "2");
	put(store, "a", "p", "3");
	char path[] = "images/00000000000000000000000000000000000000000000000000000000000000aa";
	CHECK_INT(rb_publish_at(rb_store_fd(store), path, "{", 1, 0600, &err), 0);
	rb_log_set_sink(count_line, &warnings);
	CHECK_INT(rb_store_each_image(store, collect, &seen, &err), 0);
	rb_log_set_sink(NULL, NULL);
	CHECK_OK(&err);
	CHECK_STR(seen.ptr, "a p;a q;b p;");
	CHECK_INT(warnings, 1);
	put(store, "stop", "p", "4");
	CHECK_INT(unlinkat(rb_store_fd(store), path, 0), 0);
	CHECK_INT(rb_store_each_image(store, collect, &seen, &err), -5);
	CHECK_OK(&err);
}

static void test_images__are_found_by_id(void)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = open_store("find");
	struct rb_digest id = rb_digest_of("1", 1); /* 6b86b273ff34... */
	char text[RB_DIGEST_TEXT_BYTES];
	struct rb_error *err = NULL;
	const char *ids[] = {rb_digest_text(&id, text), text + 7, "6b86", "sha256:6b86b2"};

	put(store, "b", "p", "1");
	put(store, "a", "p", "1");
	put(store, "c", "p", "2");
	for (size_t i = 0; i < RB_ARRAY_LEN(ids); i++) {
		struct rb_image_record r = {0};

		CHECK_INT(rb_store_find_image(store, ids[i], &r, &err), 0);
		CHECK_OK(&err);
		CHECK_STR(r.name, "a");
		rb_image_record_clear(&r);
	}
	struct rb_image_record r = {0};
	CHECK_INT(rb_store_find_image(store, "6b8", &r, &err), -1);
	CHECK_ERR(&err, "is not an image ID");
	CHECK_INT(rb_store_find_image(store, "dead", &r, &err), -1);
	CHECK_ERR(&err, "no image with ID dead");
	/* Found by trying: two seeds whose digests share four digits. */
	put(store, "d", "p", "seed217");
	put(store, "e", "p", "seed385");
	CHECK_INT(rb_store_find_image(store, "9e4e", &r, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_USAGE);
	CHECK_ERR(&err, "several images");
}

/* Several processes found one store, and bind and write the same things, at once. */
static void test_store__is_safe_for_concurrent_writers(void)
{
	enum { WRITERS = 4, ROUNDS = 50 };
	RB_CLEANUP(rb_strp) char *root = place("shared");
	pid_t pids[WRITERS];

	(void)fflush(stdout);
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
		struct rb_error *err = NULL;
		bool good = rb_store_open(root, &store, &err) == 0;

		for (int n = 0; good && n < ROUNDS; n++) {
			RB_CLEANUP(rb_buf_clear) struct rb_buf buf = RB_BUF_INIT;
			RB_CLEANUP(rb_strp) char *text = rb_asprintf("round %d", n);
			struct rb_image_record r = record("shared", "p", text);
			struct rb_blob blob;

			good = rb_store_put_blob(store, text, strlen(text), &blob, &err) == 0 &&
			       rb_store_read_blob(store, &blob.digest, 100, &buf, &err) == 0 &&
			       rb_store_put_record(store, &blob.digest, text, strlen(text), &err) ==
				       0 &&
			       rb_store_get_record(store, &blob.digest, &buf, &err) == 0 &&
			       rb_store_put_image(store, &r, &err) == 0;
			rb_image_record_clear(&r);
			good = good && rb_store_get_image(store, "shared", "p", &r, &err) == 0;
			rb_image_record_clear(&r);
		}
		CHECK_OK(&err);
		(void)fflush(stdout);
		_exit(good ? 0 : 1);
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = -1;

		CHECK_INT(waitpid(pids[i], &status, 0), pids[i]);
		CHECK_INT(status, 0);
	}
}

int main(void)
{
	return run_in_scratch((const struct tap_test[]){
		TAP(test_store__is_private_under_any_umask),
		TAP(test_store__takes_only_what_is_its_own),
		TAP(test_store__refuses_loose_modes_and_owners),
		TAP(test_store__adopts_an_empty_directory),
		TAP(test_store__finds_its_place),
		TAP(test_blob__is_verified_before_it_is_seen),
		TAP(test_blob__damage_is_found_and_mended),
		TAP(test_blob__a_full_disk_leaves_nothing),
		TAP(test_store__removes_old_temporaries),
		TAP(test_record__damage_is_a_miss),
		TAP(test_images__names_are_bound_by_platform),
		TAP(test_images__are_listed_in_order),
		TAP(test_images__are_found_by_id),
		TAP(test_store__is_safe_for_concurrent_writers),
		TAP_END,
	});
}
