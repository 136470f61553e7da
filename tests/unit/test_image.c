// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "base/base64.h"
#include "image/cache-config.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "image/reference.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static void test_reference__is_normalised(void)
{
	static const struct {
		const char *in, *full, *familiar;
	} cases[] = {
		{"debian", "docker.io/library/debian:latest", "debian:latest"},
		{"debian:bookworm", "docker.io/library/debian:bookworm", "debian:bookworm"},
		{"docker.io/debian", "docker.io/library/debian:latest", "debian:latest"},
		{"index.docker.io/library/debian", "docker.io/library/debian:latest",
		 "debian:latest"},
		{"user/app:1", "docker.io/user/app:1", "user/app:1"},
		{"localhost/x", "localhost/x:latest", "localhost/x:latest"},
		{"localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"},
		{"[::1]:5000/a/b", "[::1]:5000/a/b:latest", "[::1]:5000/a/b:latest"},
		{"quay.io/a/b__c/d---e@" DIGEST, "quay.io/a/b__c/d---e@" DIGEST,
		 "quay.io/a/b__c/d---e@" DIGEST},
		{"a:1@" DIGEST, "docker.io/library/a:1@" DIGEST, "a:1@" DIGEST},
		{"UPPER/x", "UPPER/x:latest", "UPPER/x:latest"},
		{"docker.io/my.org/x", "docker.io/my.org/x:latest", "docker.io/my.org/x:latest"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_ref ref = {0};
		struct rb_error *err = NULL;

		CHECK_INT(rb_ref_parse(cases[i].in, &ref, &err), 0);
		CHECK_OK(&err);
		if (!ref.path)
			continue;
		RB_CLEANUP(rb_strp) char *full = rb_ref_text(&ref);
		RB_CLEANUP(rb_strp) char *familiar = rb_ref_familiar(&ref);
		CHECK_STR(full, cases[i].full);
		CHECK_STR(familiar, cases[i].familiar);
		rb_ref_clear(&ref);
	}
}

static void test_reference__refuses(void)
{
	static const char *const cases[][2] = {
		{"", "the name is empty"},
		{"Debian", "repository name (library/Debian) must be lowercase"},
		{"a//b", "a repository name is"},
		{"a/", "a repository name is"},
		{"/a", "a repository name is"},
		{"a__-b", "a repository name is"},
		{"a___b", "a repository name is"},
		{"a..b", "a repository name is"},
		{"-a", "a repository name is"},
		{"a b", "a repository name is"},
		{"../x", "odd registry host"},
		{"a:", "a tag is"},
		{"a:.x", "a tag is"},
		{"a:b/c", "odd registry host"},
		{"host:65536/x", "odd registry host"},
		{"-h.x/x", "odd registry host"},
		{"h..x/x", "odd registry host"},
		{"a@sha256:abc", "a digest is"},
		{"a@sha512:" HEX, "a digest is"},
		{"a@sha256:../../x", "a digest is"},
		{"a@" DIGEST "@" DIGEST, "a digest is"},
		{HEX, "an image ID"},
		{HEX ":tag", "an image ID"},
		{"a\xc3\xa4", "a repository name is"},
	};
	RB_CLEANUP(rb_strp) char *longest = rb_asprintf("x/%0254d", 0);

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_ref ref = {0};
		struct rb_error *err = NULL;

		CHECK_INT(rb_ref_parse(cases[i][0], &ref, &err), -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_USAGE);
		CHECK_ERR(&err, cases[i][1]);
	}
	struct rb_ref ref = {0};
	struct rb_error *err = NULL;
	CHECK_INT(rb_ref_parse(longest, &ref, &err), -1);
	CHECK_ERR(&err, "longer than 255 bytes");
}

static void test_platform__parses_aliases(void)
{
	static const char *const cases[][2] = {
		{"linux/amd64", "linux/amd64"},    {"linux/x86_64", "linux/amd64"},
		{"Linux/AMD64/v1", "linux/amd64"}, {"linux/amd64/v3", "linux/amd64/v3"},
		{"linux/aarch64", "linux/arm64"},  {"linux/arm64/v8", "linux/arm64"},
		{"linux/arm64/8", "linux/arm64"},  {"arm64", "linux/arm64"},
		{"linux/arm", "linux/arm/v7"},     {"linux/armhf", "linux/arm/v7"},
		{"linux/armel", "linux/arm/v6"},   {"linux/arm/6", "linux/arm/v6"},
		{"armhf", "linux/arm/v7"},         {"i386", "linux/386"},
		{"macos/arm64", "darwin/arm64"},   {"linux/newarch", "linux/newarch"},
	};
	char text[RB_PLATFORM_TEXT_BYTES];

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_platform p;
		struct rb_error *err = NULL;

		CHECK_INT(rb_platform_parse(cases[i][0], &p, &err), 0);
		CHECK_OK(&err);
		CHECK_STR(rb_platform_text(&p, text), cases[i][1]);
	}
	struct rb_platform host = rb_platform_host(), p;
	struct rb_error *err = NULL;
	CHECK_INT(rb_platform_parse("linux", &p, &err), 0);
	CHECK(rb_platform_eq(&host, &p));
}

static void test_platform__refuses(void)
{
	static const char *const cases[][2] = {
		{"", "failed to parse platform \"\": empty"},
		{"plan9ish", "failed to parse platform plan9ish: unknown"},
		{"linux/", "empty"},
		{"linux/a/b/c", "expected os[/arch[/variant]]"},
		{"arm/v7", "as in linux/arm/v7"},
		{"windows(10.0)/amd64", "in parentheses"},
		{"linux/a b", "odd component"},
		{"linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "too long"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_platform p;
		struct rb_error *err = NULL;

		CHECK_INT(rb_platform_parse(cases[i][0], &p, &err), -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_USAGE);
		CHECK_ERR(&err, cases[i][1]);
	}
}

static int match(const char *want, const char *have)
{
	struct rb_platform w = {.os = ""}, h = {.os = ""};
	struct rb_error *err = NULL;

	CHECK_INT(rb_platform_parse(want, &w, &err), 0);
	CHECK_INT(rb_platform_parse(have, &h, &err), 0);
	CHECK_OK(&err);
	return rb_platform_match(&w, &h);
}

static void test_platform__matches_what_can_run(void)
{
	CHECK(match("linux/arm/v7", "linux/arm/v7") > match("linux/arm/v7", "linux/arm/v6"));
	CHECK(match("linux/arm/v7", "linux/arm/v6") > match("linux/arm/v7", "linux/arm/v5"));
	CHECK(match("linux/arm/v7", "linux/arm/v5") > 0);
	CHECK_INT(match("linux/arm/v6", "linux/arm/v7"), 0);
	CHECK(match("linux/arm64", "linux/arm64/v8") > 0);
	CHECK_INT(match("linux/amd64", "linux/amd64/v2"), 0);
	CHECK(match("linux/amd64/v3", "linux/amd64") > 0);
	CHECK_INT(match("linux/amd64", "linux/arm64"), 0);
	CHECK_INT(match("linux/amd64", "windows/amd64"), 0);
	CHECK(match("linux/riscv64", "linux/riscv64/rva22u64") > 0);
}

static const char full_config[] =
	"{\"created\":\"2026-01-02T03:04:05Z\",\"author\":\"me\",\"architecture\":\"arm\","
	"\"os\":\"linux\",\"os.version\":\"1\",\"os.features\":[\"f\"],\"variant\":\"v7\","
	"\"config\":{\"User\":\"u\",\"ExposedPorts\":{\"80/tcp\":{},\"81/udp\":{}},"
	"\"Env\":[\"B=1\",\"A=2\"],\"Entrypoint\":[\"/e\"],\"Cmd\":[\"\",\"c\"],"
	"\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"/w\",\"Labels\":{\"a\":\"\",\"b\":\"2\"},"
	"\"StopSignal\":\"9\",\"ArgsEscaped\":true,\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],"
	"\"Interval\":1,\"Timeout\":2,\"StartPeriod\":3,\"StartInterval\":4,\"Retries\":5},"
	"\"OnBuild\":[\"RUN x\"],\"Shell\":[\"/bin/sh\"]},"
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]},"
	"\"history\":[{\"created\":\"2026-01-02T03:04:05Z\",\"created_by\":\"RUN \\\"x\\\"\","
	"\"author\":\"a\",\"comment\":\"rbuild\"},{\"created_by\":\"ENV\",\"empty_layer\":true}]}";

static void test_config__round_trips(void)
{
	struct rb_image_config c = {0}, copy = {0};
	struct rb_error *err = NULL;

	CHECK_INT(rb_image_config_parse(full_config, strlen(full_config), &c, &err), 0);
	CHECK_OK(&err);
	rb_image_config_copy(&copy, &c);
	rb_image_config_clear(&c);
	RB_CLEANUP(rb_strp) char *again = rb_image_config_dump(&copy);
	CHECK_STR(again, full_config);
	CHECK_INT(copy.health.retries, 5);
	rb_image_config_clear(&copy);
}

static void test_config__sorts_and_drops_unknown(void)
{
	static const char in[] =
		"{\"x\":[1],\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Hostname\":"
		"\"h\",\"Cmd\":null,\"Labels\":{\"z\":\"1\",\"a\":null},\"Volumes\":{\"/z\":null,"
		"\"/a\":{}}},\"rootfs\":{\"diff_ids\":null}}";
	static const char out[] =
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Volumes\":{\"/a\":{},"
		"\"/z\":{}},\"Labels\":{\"a\":\"\",\"z\":\"1\"}},\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[]}}";
	struct rb_image_config c = {0};
	struct rb_error *err = NULL;

	CHECK_INT(rb_image_config_parse(in, strlen(in), &c, &err), 0);
	CHECK_OK(&err);
	RB_CLEANUP(rb_strp) char *text = rb_image_config_dump(&c);
	CHECK_STR(text, out);
	rb_image_config_clear(&c);
}

#define PLATFORM "\"os\":\"linux\",\"architecture\":\"amd64\""

static void test_config__refuses(void)
{
	static const char *const cases[][2] = {
		{"", "not valid JSON"},
		{"[]", "image config: expected object"},
		{"{}", "image config: os: missing"},
		{"{\"os\":\"linux\"}", "architecture: missing"},
		{"{\"os\":1,\"architecture\":\"a\"}", "os: expected string"},
		{"{" PLATFORM ",\"os\":\"linux\"}", "duplicate object key"},
		{"{" PLATFORM ",\"config\":[]}", "config: expected object"},
		{"{" PLATFORM ",\"config\":{\"Env\":[1]}}", "Env: expected array of strings"},
		{"{" PLATFORM ",\"config\":{\"Env\":[\"a\\u0000b\"]}}", "Env: expected array"},
		{"{" PLATFORM ",\"config\":{\"Labels\":{\"a\":1}}}", "Labels: a: expected string"},
		{"{" PLATFORM ",\"config\":{\"Healthcheck\":{\"Retries\":\"3\"}}}",
		 "Retries: expected integer"},
		{"{" PLATFORM ",\"rootfs\":{\"type\":\"tree\"}}", "expected \"layers\""},
		{"{" PLATFORM ",\"rootfs\":{\"diff_ids\":[\"sha256:../x\"]}}",
		 "rootfs.diff_ids[0]: not a sha256 digest"},
		{"{" PLATFORM ",\"history\":[1]}", "history[0]: expected object"},
		{"{" PLATFORM ",\"variant\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\"}", "variant: longer"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_image_config c = {0};
		struct rb_error *err = NULL;

		CHECK_INT(rb_image_config_parse(cases[i][0], strlen(cases[i][0]), &c, &err), -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_CORRUPT);
		CHECK_ERR(&err, cases[i][1]);
	}
}

static void test_config__labels_stay_sorted(void)
{
	struct rb_labels l = {0};
	struct rb_strv set = RB_STRV_INIT;

	rb_labels_set(&l, "b", "1");
	rb_labels_set(&l, "a", "2");
	rb_labels_set(&l, "c", "3");
	rb_labels_set(&l, "b", "4");
	CHECK_INT(l.keys.n, 3);
	CHECK_STR(l.keys.v[0], "a");
	CHECK_STR(l.values.v[0], "2");
	CHECK_STR(l.keys.v[1], "b");
	CHECK_STR(l.values.v[1], "4");
	CHECK_STR(l.values.v[2], "3");
	CHECK(l.keys.v[3] == NULL);
	for (const char *s = "dbacb"; *s; s++)
		rb_strset_add(&set, (const char[]){*s, '\0'});
	CHECK_INT(set.n, 4);
	CHECK_STR(set.v[0], "a");
	CHECK_STR(set.v[3], "d");
	rb_strv_clear(&l.keys);
	rb_strv_clear(&l.values);
	rb_strv_clear(&set);
}

/* Computed independently: printf '%s %s' DIGEST DIGEST | sha256sum */
static void test_config__chain_id(void)
{
	struct rb_digest d, c;
	char text[RB_DIGEST_TEXT_BYTES];

	CHECK_INT(rb_digest_parse(DIGEST, &d), 0);
	c = rb_chain_id(NULL, &d);
	CHECK(rb_digest_eq(&c, &d));
	c = rb_chain_id(&d, &d);
	CHECK_STR(rb_digest_text(&c, text),
		  "sha256:ccdf9b58ee7087c8f4415f1c3e98945bf64a4cd9920de109ec94d64947636830");
}

static void test_config__rfc3339(void)
{
	static const struct {
		int64_t sec;
		uint32_t nsec;
		const char *text;
	} cases[] = {
		{0, 0, "1970-01-01T00:00:00Z"},
		{1795433145, 500000000, "2026-11-23T11:25:45.5Z"},
		{951782400, 1, "2000-02-29T00:00:00.000000001Z"},
		{951868800, 120, "2000-03-01T00:00:00.00000012Z"},
		{-1, 0, "1969-12-31T23:59:59Z"},
		{4107542399, 0, "2100-02-28T23:59:59Z"},
		{4107542400, 0, "2100-03-01T00:00:00Z"},
		{-62135596800, 0, "0001-01-01T00:00:00Z"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_strp) char *text = rb_rfc3339(cases[i].sec, cases[i].nsec);

		CHECK_STR(text, cases[i].text);
	}
}

#define DESC(type) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":7}"
#define IMAGE_BODY                                                                                 \
	"\"config\":" DESC(RB_MT_OCI_CONFIG) ",\"layers\":[" DESC(RB_MT_OCI_LAYER_GZIP) "]"

static void test_manifest__parses_and_writes_oci(void)
{
	static const char in[] =
		"{\"schemaVersion\":2,\"mediaType\":\"" RB_MT_DOCKER_MANIFEST "\",\"config\":" DESC(
			RB_MT_DOCKER_CONFIG) ",\"layers\":[" DESC(RB_MT_DOCKER_LAYER_GZIP) "]}";
	struct rb_manifest m = {.kind = RB_DOC_INDEX};
	struct rb_error *err = NULL;

	CHECK_INT(rb_manifest_parse(in, strlen(in), RB_MT_DOCKER_MANIFEST "; charset=utf-8", &m,
				    &err),
		  0);
	CHECK_OK(&err);
	CHECK_INT(m.kind, RB_DOC_MANIFEST);
	CHECK_INT(m.n_layers, 1);
	CHECK_INT(m.layers[0].size, 7);
	RB_CLEANUP(rb_strp) char *text = rb_manifest_dump(&m);
	CHECK(strstr(text, "\"mediaType\": \"" RB_MT_OCI_MANIFEST "\"") != NULL);
	CHECK(strstr(text, "\"mediaType\": \"" RB_MT_OCI_LAYER_GZIP "\"") != NULL);
	CHECK(strstr(text, "\"mediaType\": \"" RB_MT_OCI_CONFIG "\"") != NULL);
	rb_manifest_clear(&m);
	CHECK_INT(rb_manifest_parse(text, strlen(text), NULL, &m, &err), 0);
	CHECK_OK(&err);
	RB_CLEANUP(rb_strp) char *again = rb_manifest_dump(&m);
	CHECK_STR(again, text);
	rb_manifest_clear(&m);
}

static void test_manifest__refuses(void)
{
	static const struct {
		const char *text, *transport;
		enum rb_err code;
		const char *part;
	} cases[] = {
		{"[]", NULL, RB_ERR_CORRUPT, "expected object"},
		{"{}", NULL, RB_ERR_CORRUPT, "schemaVersion"},
		{"{\"schemaVersion\":1}", NULL, RB_ERR_UNSUPPORTED, "schema 1"},
		{"{\"schemaVersion\":2}", NULL, RB_ERR_CORRUPT, "config: expected a descriptor"},
		{"{\"schemaVersion\":2}",
		 "application/vnd.docker.distribution.manifest.v1+prettyjws", RB_ERR_UNSUPPORTED,
		 "schema 1"},
		{"{\"schemaVersion\":2," IMAGE_BODY "}", "text/html", RB_ERR_UNSUPPORTED,
		 "\"text/html\""},
		/* threats S35: one document, one meaning */
		{"{\"schemaVersion\":2," IMAGE_BODY ",\"manifests\":[]}", NULL, RB_ERR_CORRUPT,
		 "both layers and manifests"},
		{"{\"schemaVersion\":2,\"mediaType\":\"" RB_MT_OCI_INDEX "\"," IMAGE_BODY "}", NULL,
		 RB_ERR_CORRUPT, "does not fit"},
		{"{\"schemaVersion\":2,\"mediaType\":\"" RB_MT_OCI_MANIFEST "\",\"manifests\":[]}",
		 NULL, RB_ERR_CORRUPT, "does not fit"},
		{"{\"schemaVersion\":2,\"mediaType\":\"" RB_MT_OCI_MANIFEST "\"," IMAGE_BODY "}",
		 RB_MT_OCI_INDEX, RB_ERR_CORRUPT, "says of itself"},
		{"{\"schemaVersion\":2,\"schemaVersion\":2," IMAGE_BODY "}", NULL, RB_ERR_CORRUPT,
		 "duplicate"},
		/* not a container image */
		{"{\"schemaVersion\":2,\"config\":" DESC(
			 "application/vnd.cncf.helm.config.v1+json") ","
								     "\"layers\":[]}",
		 NULL, RB_ERR_UNSUPPORTED, "helm"},
		{"{\"schemaVersion\":2,\"config\":" DESC(RB_MT_OCI_CONFIG) ",\"layers\":[" DESC(
			 "application/vnd.in-toto+json") "]}",
		 NULL, RB_ERR_UNSUPPORTED, "manifest: layers[0]: this is an attestation"},
		{"{\"schemaVersion\":2,\"config\":" DESC(RB_MT_OCI_CONFIG) ",\"layers\":7}", NULL,
		 RB_ERR_CORRUPT, "layers: expected array"},
		{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" RB_MT_OCI_CONFIG
		 "\",\"digest\":\"sha256:../../x\",\"size\":1},\"layers\":[]}",
		 NULL, RB_ERR_CORRUPT, "config: digest"},
		{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" RB_MT_OCI_CONFIG
		 "\",\"digest\":\"" DIGEST "\",\"size\":-1},\"layers\":[]}",
		 NULL, RB_ERR_CORRUPT, "config: size"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_manifest m = {.kind = RB_DOC_MANIFEST};
		struct rb_error *err = NULL;

		CHECK_INT(rb_manifest_parse(cases[i].text, strlen(cases[i].text),
					    cases[i].transport, &m, &err),
			  -1);
		CHECK_INT(err ? err->code : 0, cases[i].code);
		CHECK_ERR(&err, cases[i].part);
	}
}

static void test_manifest__limits_the_number_of_layers(void)
{
	struct rb_buf b = RB_BUF_INIT;
	struct rb_manifest m = {.kind = RB_DOC_MANIFEST};
	struct rb_error *err = NULL;

	rb_buf_addstr(&b,
		      "{\"schemaVersion\":2,\"config\":" DESC(RB_MT_OCI_CONFIG) ",\"layers\":[");
	for (int i = 0; i <= RB_MANIFEST_LAYERS_MAX; i++)
		rb_buf_addf(&b, "%s" DESC(RB_MT_OCI_LAYER), i ? "," : "");
	rb_buf_addstr(&b, "]}");
	CHECK_INT(rb_manifest_parse(b.ptr, b.len, NULL, &m, &err), -1);
	CHECK_ERR(&err, "more than 4096 entries");
	rb_buf_clear(&b);
}

#define ENTRY(type, size, os, arch)                                                                \
	"{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":" size                     \
	",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}}"

static void test_index__chooses(void)
{
	static const char in[] = "{\"schemaVersion\":2,\"manifests\":[" ENTRY(
		RB_MT_OCI_MANIFEST, "1", "unknown",
		"unknown") "," ENTRY(RB_MT_OCI_INDEX, "2", "linux",
				     "amd64") "," ENTRY(RB_MT_DOCKER_MANIFEST, "3", "linux",
							"arm64") "," ENTRY(RB_MT_OCI_MANIFEST, "4",
									   "linux", "amd64") "]}";
	static const char unnamed[] =
		"{\"schemaVersion\":2,\"manifests\":[" DESC(RB_MT_OCI_MANIFEST) "]}";
	struct rb_platform want;
	struct rb_manifest m = {.kind = RB_DOC_MANIFEST};
	struct rb_error *err = NULL;

	CHECK_INT(rb_manifest_parse(in, strlen(in), NULL, &m, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(m.kind, RB_DOC_INDEX);
	CHECK_INT(rb_platform_parse("linux/amd64", &want, &err), 0);
	CHECK_INT(rb_index_choose(&m, &want) ? rb_index_choose(&m, &want)->size : 0, 4);
	CHECK_INT(rb_platform_parse("linux/arm64", &want, &err), 0);
	CHECK_INT(rb_index_choose(&m, &want) ? rb_index_choose(&m, &want)->size : 0, 3);
	CHECK_INT(rb_platform_parse("linux/s390x", &want, &err), 0);
	CHECK(rb_index_choose(&m, &want) == NULL);
	rb_manifest_clear(&m);
	CHECK_INT(rb_manifest_parse(unnamed, strlen(unnamed), NULL, &m, &err), 0);
	CHECK(rb_index_choose(&m, &want) == &m.layers[0]);
	rb_manifest_clear(&m);
}

static void test_index__keeps_names(void)
{
	char type[] = RB_MT_OCI_MANIFEST, ref[] = "1.0", image[] = "docker.io/library/x:1.0";
	struct rb_descriptor d = {.media_type = type,
				  .size = 9,
				  .has_platform = true,
				  .platform = {.os = "linux", .arch = "arm", .variant = "v7"},
				  .ref_name = ref,
				  .image_name = image};
	struct rb_manifest index = {.kind = RB_DOC_INDEX, .layers = &d, .n_layers = 1}, again;
	RB_CLEANUP(rb_strp) char *text = rb_manifest_dump(&index);
	struct rb_error *err = NULL;

	CHECK_INT(rb_manifest_parse(text, strlen(text), RB_MT_OCI_INDEX, &again, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(again.layers[0].ref_name, "1.0");
	CHECK_STR(again.layers[0].image_name, "docker.io/library/x:1.0");
	CHECK_STR(again.layers[0].platform.variant, "v7");
	rb_manifest_clear(&again);
}

static void test_index__put_replaces_a_name_and_keeps_what_others_wrote(void)
{
	static const char in[] =
		"{\"schemaVersion\":2,\"annotations\":{\"by\":\"x\"},\"manifests\":["
		"{\"mediaType\":\"" RB_MT_OCI_MANIFEST "\",\"digest\":\"" DIGEST
		"\",\"size\":1,\"annotations\":{\"a\":\"b\"}},"
		"{\"mediaType\":\"" RB_MT_OCI_MANIFEST "\",\"digest\":\"" DIGEST
		"\",\"size\":2,\"annotations\":{\"org.opencontainers.image.ref."
		"name\":\"t\"}}]}";
	char type[] = RB_MT_OCI_MANIFEST, tag[] = "t";
	struct rb_descriptor d = {.media_type = type, .size = 9, .ref_name = tag};
	struct rb_error *err = NULL;
	RB_CLEANUP(rb_strp) char *put = rb_index_put(in, strlen(in), &d, &err);
	RB_CLEANUP(rb_strp) char *new = rb_index_put("", 0, &d, &err);

	CHECK_OK(&err);
	CHECK(put && strstr(put, "\"by\": \"x\"") && strstr(put, "\"a\": \"b\""));
	CHECK(put && strstr(put, "\"size\": 1,") && !strstr(put, "\"size\": 2"));
	CHECK(put && strstr(put, "\"size\": 9"));
	CHECK(new &&strstr(new, "\"size\": 9"));
	CHECK(!rb_index_put("{", 1, &d, &err));
	CHECK_ERR(&err, "not valid JSON");
	CHECK(!rb_index_put("{\"schemaVersion\":2,\"manifests\":[7]}", 36, &d, &err));
	CHECK_ERR(&err, "");
}

/* --- caches --- */

#define D(c) "sha256:" c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define LAYER(blob, parent)                                                                        \
	"{\"blob\":\"" D(blob) "\",\"parent\":" parent                                             \
			       ",\"annotations\":{\"mediaType\":\"" RB_MT_OCI_LAYER                \
			       "\",\"diffID\":\"" D(blob) "\",\"size\":7}}"
#define RECORD(key, layer) "{\"digest\":\"" D(key) "\",\"layers\":[{\"layer\":" layer "}]}"

static void test_cache_config__round_trips(void)
{
	static const char text[] = "{\"layers\":[" LAYER("aa", "-1") "," LAYER(
		"bb", "0") "],"
			   "\"records\":[" RECORD("11", "1") "," RECORD("22", "0") "]}";
	struct rb_cache_config c = {0};
	struct rb_error *err = NULL;
	struct rb_digest key;
	size_t chain[2];

	CHECK_INT(rb_cache_config_parse(text, strlen(text), &c, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(c.n_layers, 2);
	CHECK_INT(rb_digest_parse(D("11"), &key), 0);
	const struct rb_cache_record *r = rb_cache_config_find(&c, &key);
	CHECK(r && r->layer == 1);
	CHECK_INT(rb_cache_config_depth(&c, 1), 2);
	rb_cache_config_chain(&c, 1, chain);
	CHECK_INT(chain[0], 0);
	CHECK_INT(chain[1], 1);
	RB_CLEANUP(rb_strp) char *dump = rb_cache_config_dump(&c);
	CHECK_STR(dump, text);

	/* What is inside of an image names the image's own layers. */
	RB_CLEANUP(rb_strp) char *inside = rb_cache_config_dump_inline(&c);
	struct rb_cache_config again = {0};
	for (size_t i = 0; i < 2; i++) {
		struct rb_cache_layer l = c.layers[i];

		l.media_type = rb_strdup(l.media_type);
		(void)rb_cache_config_add_layer(&again, l);
	}
	CHECK_INT(rb_cache_config_parse_inline(inside, &again, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(again.n_records, 2);
	rb_cache_config_clear(&again);
	rb_cache_config_clear(&c);
}

static void test_cache_config__refuses_and_leaves_out(void)
{
	static const struct {
		const char *text;
		int records; /* -1: refused */
	} rows[] = {
		{"{}", 0},
		{"[]", -1},
		{"{\"layers\":{}}", -1},
		{"{\"layers\":[{}]}", -1},
		{"{\"layers\":[" LAYER("aa", "0") "]}", -1},
		{"{\"layers\":[" LAYER("aa", "1") "," LAYER("bb", "0") "]}", -1},
		{"{\"layers\":[" LAYER("aa", "7") "]}", -1},
		{"{\"layers\":[" LAYER("aa", "-2") "]}", -1},
		{"{\"layers\":[" LAYER("aa", "-1") "],\"records\":[" RECORD("11", "1") "]}", -1},
		{"{\"layers\":[" LAYER("aa", "-1") "],\"records\":[" RECORD("11", "-1") "]}", -1},
		{"{\"layers\":[" LAYER("aa", "-1") "],\"records\":[{\"digest\":\"x\"},7]}", 0},
		/* A layer that says too little of itself is of no use. */
		{"{\"layers\":[{\"blob\":\"" D("aa") "\"}],\"records\":[" RECORD("11", "0") "]}",
		 0},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_cache_config c = {0};
		struct rb_error *err = NULL;
		int r = rb_cache_config_parse(rows[i].text, strlen(rows[i].text), &c, &err);

		CHECK_INT(r < 0 ? -1 : (int)c.n_records, rows[i].records);
		rb_error_drop(&err);
		rb_cache_config_clear(&c);
	}
}

static void test_rfc3339__is_read(void)
{
	static const struct {
		const char *text;
		int64_t sec;
		uint32_t nsec;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0, 0},
		{"2026-11-23T11:25:45.5Z", 1795433145, 500000000},
		{"2000-02-29T23:59:59.000000001Z", 951868799, 1},
		{"1969-12-31T23:59:59Z", -1, 0},
	};
	static const char *const bad[] = {"",
					  "2026-11-23",
					  "2026-13-23T11:25:45Z",
					  "2026-11-23T11:25:45",
					  "2026-11-23T11:25:45+01:00",
					  "2026-11-23T25:25:45Z"};
	int64_t sec;
	uint32_t nsec;

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		CHECK_INT(rb_rfc3339_parse(rows[i].text, &sec, &nsec), 0);
		CHECK_INT(sec, rows[i].sec);
		CHECK_INT(nsec, rows[i].nsec);
		RB_CLEANUP(rb_strp) char *again = rb_rfc3339(sec, nsec);
		CHECK_STR(again, rows[i].text);
	}
	for (size_t i = 0; i < RB_ARRAY_LEN(bad); i++)
		CHECK(rb_rfc3339_parse(bad[i], &sec, &nsec) < 0);
}

static void test_base64__both_ways(void)
{
	char text[5000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7);
	for (size_t n = 0; n < sizeof(text); n = n < 10 ? n + 1 : n * 3) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
		RB_CLEANUP(rb_buf_clear) struct rb_buf back = RB_BUF_INIT;

		rb_base64_encode(text, n, &out);
		CHECK_INT(rb_base64_decode(out.ptr, out.len, &back), 0);
		CHECK(back.len == n && memcmp(back.ptr, text, n) == 0);
	}
	static const char *const bad[] = {
		"a", "ab", "abc", "ab=c", "a===", "====", "ab c", "ab\nc", "\x80\x80\x80\x80"};
	for (size_t i = 0; i < RB_ARRAY_LEN(bad); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf back = RB_BUF_INIT;

		CHECK(rb_base64_decode(bad[i], strlen(bad[i]), &back) < 0);
	}
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_reference__is_normalised),
		TAP(test_reference__refuses),
		TAP(test_platform__parses_aliases),
		TAP(test_platform__refuses),
		TAP(test_platform__matches_what_can_run),
		TAP(test_config__round_trips),
		TAP(test_config__sorts_and_drops_unknown),
		TAP(test_config__refuses),
		TAP(test_config__labels_stay_sorted),
		TAP(test_config__chain_id),
		TAP(test_config__rfc3339),
		TAP(test_manifest__parses_and_writes_oci),
		TAP(test_manifest__refuses),
		TAP(test_manifest__limits_the_number_of_layers),
		TAP(test_index__chooses),
		TAP(test_index__keeps_names),
		TAP(test_index__put_replaces_a_name_and_keeps_what_others_wrote),
		TAP(test_cache_config__round_trips),
		TAP(test_cache_config__refuses_and_leaves_out),
		TAP(test_rfc3339__is_read),
		TAP(test_base64__both_ways),
		TAP_END,
	});
}
