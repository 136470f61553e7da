// SPDX-License-Identifier: Apache-2.0
#include "cli/build-result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "image/manifest.h"

static int check_place(const char *option, const char *path, struct rb_error **err)
{
	if (!path)
		return 0;
	if (unlink(path) < 0 && errno != ENOENT)
		return rb_fail_errno(err, "%s: cannot replace %s", option, path);
	RB_CLEANUP(rb_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || unlink(path) < 0)
		return rb_fail_errno(err, "%s: cannot write %s", option, path);
	return 0;
}

int rb_build_result_check(const struct rb_build_options *o, struct rb_error **err)
{
	return check_place("--iidfile", o->iidfile, err) < 0
		       ? -1
		       : check_place("--metadata-file", o->metadata_file, err);
}

/* "", "ID" or "ID MANIFEST SIZE" */
char *rb_build_result_text(const struct rb_build_result *r)
{
	char id[RB_DIGEST_TEXT_BYTES], manifest[RB_DIGEST_TEXT_BYTES];

	if (!r->has_id)
		return rb_strdup("");
	(void)rb_digest_text(&r->id, id);
	if (!r->has_manifest)
		return rb_strdup(id);
	return rb_asprintf("%s %s %llu", id, rb_digest_text(&r->manifest.digest, manifest),
			   (unsigned long long)r->manifest.size);
}

int rb_build_result_parse(const char *text, struct rb_build_result *ret, struct rb_error **err)
{
	char id[RB_DIGEST_TEXT_BYTES], manifest[RB_DIGEST_TEXT_BYTES];
	struct rb_build_result r = {0};
	unsigned long long size;
	int n = sscanf(text, "%71s %71s %llu", id, manifest, &size);

	r.has_id = n >= 1;
	r.has_manifest = n == 3;
	if (n == 2 || (r.has_id && rb_digest_parse(id, &r.id) < 0) ||
	    (r.has_manifest && rb_digest_parse(manifest, &r.manifest.digest) < 0))
		return rb_fail(err, RB_ERR_CORRUPT, "a worker sent a malformed result");
	if (r.has_manifest)
		r.manifest.size = size;
	*ret = r;
	return 0;
}

static int publish(const char *option, const char *path, const char *text, struct rb_error **err)
{
	return rb_publish_at(AT_FDCWD, path, text, strlen(text), 0644, err) < 0
		       ? rb_wrap(err, "%s", option)
		       : 0;
}

/* Keys sorted, as scripts see them elsewhere. Of files alone there is nothing to tell. */
static char *metadata(const struct rb_build_options *o, const struct rb_build_result *r,
		      const struct rb_strv *names)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_new_object();
	RB_CLEANUP(rb_buf_clear) struct rb_buf list = RB_BUF_INIT;
	struct rb_json *descriptor;
	char text[RB_DIGEST_TEXT_BYTES];

	if (!r->has_manifest)
		return rb_json_dump(doc, 2);
	if (!o->as_index)
		rb_json_set_str(doc, "containerimage.config.digest", rb_digest_text(&r->id, text));
	(void)rb_digest_text(&r->manifest.digest, text);
	descriptor = rb_json_new_object();
	rb_json_set_str(descriptor, "mediaType",
			o->as_index ? RB_MT_OCI_INDEX : RB_MT_OCI_MANIFEST);
	rb_json_set_str(descriptor, "digest", text);
	rb_json_set_i64(descriptor, "size", (int64_t)r->manifest.size);
	rb_json_set(doc, "containerimage.descriptor", descriptor);
	rb_json_set_str(doc, "containerimage.digest", text);
	for (size_t i = 0; i < names->n; i++)
		rb_buf_addf(&list, "%s%s", i ? "," : "", names->v[i]);
	if (list.len)
		rb_json_set_str(doc, "image.name", list.ptr);
	return rb_json_dump(doc, 2);
}

int rb_build_result_write(const struct rb_build_options *o, const struct rb_build_result *r,
			  const struct rb_strv *names, struct rb_error **err)
{
	char id[RB_DIGEST_TEXT_BYTES];

	if (o->iidfile && publish("--iidfile", o->iidfile, rb_digest_text(&r->id, id), err) < 0)
		return -1;
	if (!o->metadata_file)
		return 0;
	RB_CLEANUP(rb_strp) char *text = metadata(o, r, names);
	return publish("--metadata-file", o->metadata_file, text, err);
}
