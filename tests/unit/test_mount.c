// SPDX-License-Identifier: Apache-2.0
#include "dockerfile/mount.h"

#include "dockerfile/expand.h"
#include "tap.h"

/* The options of one --mount, as text: what is not the default. */

static const char *const type_names[RB_MOUNT_TYPES] = {"bind", "cache", "tmpfs", "secret", "ssh"};
static char *shown(const struct rb_run_mount *m)
{
	static const char *const sharings[] = {"shared", "private", "locked"};
	const struct {
		const char *name, *value;
	} texts[] = {{"target", m->target},
		     {"from", m->from},
		     {"source", m->source},
		     {"id", m->id},
		     {"env", m->env}};
	const struct {
		const char *name;
		int64_t value;
	} numbers[] = {{"uid", m->uid}, {"gid", m->gid}};
	struct rb_buf b = RB_BUF_INIT;

	rb_buf_addf(&b, "%s %s", type_names[m->type], m->read_only ? "ro" : "rw");
	for (size_t i = 0; i < RB_ARRAY_LEN(texts); i++)
		if (texts[i].value)
			rb_buf_addf(&b, " %s=%s", texts[i].name, texts[i].value);
	if (m->sharing)
		rb_buf_addf(&b, " %s", sharings[m->sharing]);
	if (m->required)
		rb_buf_addstr(&b, " required");
	if (m->mode >= 0)
		rb_buf_addf(&b, " mode=%llo", (unsigned long long)m->mode);
	for (size_t i = 0; i < RB_ARRAY_LEN(numbers); i++)
		if (numbers[i].value >= 0)
			rb_buf_addf(&b, " %s=%lld", numbers[i].name, (long long)numbers[i].value);
	if (m->size_bytes)
		rb_buf_addf(&b, " size=%llu", (unsigned long long)m->size_bytes);
	return rb_buf_steal(&b);
}

static char *expand(void *ctx, const char *word, struct rb_error **err)
{
	return rb_expand(word, '\\', ctx, NULL, err);
}

/* As the two passes of a build do: the parser's, and that of the plan with A=x and T=tmpfs. */
static int parse(const char *record, struct rb_arena *arena, struct rb_run_mount *ret,
		 struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *quoted = NULL;
	struct rb_dockerfile *df = NULL;
	struct rb_env env = {0};

	rb_env_set(&env, "A", "x");
	rb_env_set(&env, "T", "tmpfs");
	quoted = rb_asprintf("FROM a\nRUN --mount='%s' x\n", record);
	int r = rb_dockerfile_parse(quoted, strlen(quoted), &df, err);
	if (r == 0)
		r = rb_run_mount_parse(&df->stages[0].insts[0].run.mounts[0], expand, &env, arena,
				       ret, err);
	rb_dockerfile_free(df);
	rb_env_clear(&env);
	return r;
}

static const struct {
	const char *record, *want;
} good[] = {
	{"target=/x", "bind ro target=/x"},
	{"dst=/x,src=/y", "bind ro target=/x source=/y"},
	{"destination=x,source=y,from=z,rw", "bind rw target=x from=z source=y"},
	{"TYPE=bind,Target=/x,ReadOnly=FALSE", "bind rw target=/x"},
	{"target=/x,rw=true,ro=1", "bind ro target=/x"},
	{"target=/x,readwrite=0", "bind ro target=/x"},
	{"type=cache,target=/x", "cache rw target=/x"},
	{"type=cache,target=/x,ro", "cache ro target=/x"},
	{"type=cache,target=/x,id=i,sharing=locked,mode=0700,uid=1,gid=2",
	 "cache rw target=/x id=i locked mode=700 uid=1 gid=2"},
	{"type=cache,target=/x,sharing=private,from=a,source=b",
	 "cache rw target=/x from=a source=b private"},
	{"type=cache,target=/x,sharing=shared,uid=4294967294", "cache rw target=/x uid=4294967294"},
	{"type=tmpfs,target=/x,size=64m", "tmpfs rw target=/x size=67108864"},
	{"size=1k,target=/x,type=tmpfs", "tmpfs rw target=/x size=1024"},
	{"type=secret,id=i", "secret ro id=i"},
	{"type=secret,source=i,required", "secret ro source=i required"},
	{"type=secret,id=i,env=E,target=/t,mode=0440,uid=7,gid=8,required=false",
	 "secret ro target=/t id=i env=E mode=440 uid=7 gid=8"},
	{"type=ssh", "ssh ro"},
	{"type=ssh,id=a,target=/s,required=true,mode=0666",
	 "ssh ro target=/s id=a required mode=666"},
	/* Values are expanded, also the type; from is not. */
	{"type=$T,target=/${A}/y", "tmpfs rw target=/x/y"},
	{"type=${T},target=/x,size=${S:-1m}", "tmpfs rw target=/x size=1048576"},
	{"target=/x,source=\\\\$A", "bind ro target=/x source=$A"},
	{"target=/x,from=a$", "bind ro target=/x from=a$"},
	{"target=$UNSET", "bind ro"},
	/* CSV. */
	{"\"target=/x,y\",ro", "bind ro target=/x,y"},
	{"target=/x,\"source=a\"", "bind ro target=/x source=a"},
};

static void test_mount__options(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(good); i++) {
		struct rb_arena *arena = rb_arena_new();
		struct rb_error *err = NULL;
		struct rb_run_mount m;

		int r = parse(good[i].record, arena, &m, &err);
		if (r < 0)
			printf("# %s\n", good[i].record);
		CHECK_INT(r, 0);
		CHECK_OK(&err);
		if (r == 0) {
			char *text = shown(&m);

			CHECK_STR(text, good[i].want);
			free(text);
		}
		rb_arena_free(arena);
	}
}

static const struct {
	const char *record, *message;
} bad[] = {
	{"type=foo,target=/x", "unsupported mount type \"foo\""},
	{"type=cahce,target=/x", "unsupported mount type \"cahce\" (did you mean cache?)"},
	{"type=$A,target=/x", "unsupported mount type \"x\""},
	{"type=,target=/x", "unsupported mount type \"\""},
	{"target=/x,bind-propagation=shared",
	 "unexpected key 'bind-propagation' in 'bind-propagation=shared'"},
	{"traget=/x", "unexpected key 'traget' in 'traget=/x' (did you mean target?)"},
	{"type=secret,id=a,requird",
	 "invalid field 'requird' must be a key=value pair (did you mean required?)"},
	{"foo", "invalid field 'foo' must be a key=value pair"},
	{"target", "invalid field 'target' must be a key=value pair"},
	{",", "invalid field '' must be a key=value pair"},
	{"target=/x,", "invalid field '' must be a key=value pair"},
	{"target=/x,from=$A",
	 "'from' doesn't support variable expansion, define alias stage instead"},
	{"target=/x,size=1m", "unexpected key 'size' for mount type 'bind'"},
	{"target=/x,required", "unexpected key 'required' for mount type 'bind'"},
	{"type=cache,target=/x,required=true", "unexpected key 'required' for mount type 'cache'"},
	{"target=/x,id=a", "unexpected key 'id' for mount type 'bind'"},
	{"type=tmpfs,target=/x,from=a", "unexpected key 'from' for mount type 'tmpfs'"},
	{"type=tmpfs,target=/x,source=a", "unexpected key 'source' for mount type 'tmpfs'"},
	{"type=cache,target=/x,env=a", "unexpected key 'env' for mount type 'cache'"},
	{"type=secret,id=a,from=b", "unexpected key 'from' for mount type 'secret'"},
	{"type=secret,id=a,sharing=shared", "invalid cache sharing set for secret mount"},
	{"type=ssh,source=a", "unexpected key 'source' for mount type 'ssh'"},
	{"target=/x,sharing=shared", "invalid cache sharing set for bind mount"},
	{"type=cache,target=/x,sharing=many", "unsupported sharing value \"many\""},
	{"type=cache,target=/x,sharing=lockd",
	 "unsupported sharing value \"lockd\" (did you mean locked?)"},
	{"target=/x,mode=0755", "mode not allowed for \"bind\" type mounts"},
	{"type=tmpfs,target=/x,uid=0", "uid not allowed for \"tmpfs\" type mounts"},
	{"type=tmpfs,target=/x,gid=0", "gid not allowed for \"tmpfs\" type mounts"},
	{"type=cache,target=/x,mode=0799", "invalid value \"0799\" for --mount option 'mode'"},
	{"type=cache,target=/x,mode=77777", "invalid value \"77777\" for --mount option 'mode'"},
	{"type=cache,target=/x,mode=u+x", "invalid value \"u+x\" for --mount option 'mode'"},
	{"type=cache,target=/x,uid=root", "invalid value \"root\" for --mount option 'uid'"},
	{"type=cache,target=/x,gid=-1", "invalid value \"-1\" for --mount option 'gid'"},
	{"type=cache,target=/x,uid=4294967295",
	 "invalid value \"4294967295\" for --mount option 'uid'"},
	{"type=tmpfs,target=/x,size=0", "invalid value \"0\" for --mount option 'size'"},
	{"type=tmpfs,target=/x,size=64q", "invalid value \"64q\" for --mount option 'size'"},
	{"type=tmpfs,target=/x,size=1m,mode=1", "mode not allowed for \"tmpfs\" type mounts"},
	{"type=tmpfs,target=/x,size=64m,nr_inodes=1", "unexpected key 'nr_inodes'"},
	{"type=tmpfs,target=/x,size=99999999999g", "invalid value"},
	{"target=/x,ro=maybe",
	 "invalid value \"maybe\" for --mount option 'ro': write true or false"},
	{"type=secret", "a secret mount needs one of id, source and target"},
	{"type=secret,id=i,env=A=B",
	 "invalid value \"A=B\" for --mount option 'env': write the name"},
	{"type=secret,id=i,env=", "invalid value \"\" for --mount option 'env': write the name"},
	{"type=secret,env=A", "a secret mount needs one of id, source and target"},
	{"type=secret,id=a,source=b", "a secret mount takes id or source, not both"},
	{"target=\"/x\"", "quotes go around a whole field"},
	{"\"target=/x", "a quote is not closed"},
	{"\"target=/x\"y", "a quote is not closed"},
	{"target=${A", "failed to process \"${A\""},
};

static void test_mount__refusals(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(bad); i++) {
		struct rb_arena *arena = rb_arena_new();
		struct rb_error *err = NULL;
		struct rb_run_mount m;

		int r = parse(bad[i].record, arena, &m, &err);
		if (r == 0)
			printf("# %s\n", bad[i].record);
		CHECK_INT(r, -1);
		CHECK_ERR(&err, bad[i].message);
		rb_arena_free(arena);
	}
}

static void test_mount__sizes(void)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: no size */
	} rows[] = {
		{"0", 0},
		{"1", 1},
		{"17b", 17},
		{"1k", 1024},
		{"1K", 1024},
		{"1kb", 1024},
		{"1KiB", 1024},
		{"2 MB", 2 << 20},
		{"1.5k", 1536},
		{"64m", 64 << 20},
		{"1g", 1 << 30},
		{"1t", (int64_t)1 << 40},
		{"0.000001m", 1},
		{"", -1},
		{"m", -1},
		{"1x", -1},
		{"1kk", -1},
		{"-1", -1},
		{"1.", -1},
		{".5k", -1},
		{"1.1.1k", -1},
		{"1  k", -1},
		{"1k ", -1},
		{"16384p", -1},
		{"99999999999999999999", -1},
		{"1.0000001k", -1},
		{"1ib", -1},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		uint64_t got = 0;
		int r = rb_dockerfile_parse_size(rows[i].text, &got);

		if (r != (rows[i].want < 0 ? -1 : 0))
			printf("# %s\n", rows[i].text);
		CHECK_INT(r, rows[i].want < 0 ? -1 : 0);
		if (r == 0)
			CHECK_INT((int64_t)got, rows[i].want);
	}
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_mount__options),
		TAP(test_mount__refusals),
		TAP(test_mount__sizes),
		TAP_END,
	});
}
