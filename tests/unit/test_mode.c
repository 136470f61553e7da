/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mode.h"

#include <errno.h>
#include <sys/stat.h>

#include "tap.h"

/* What is different from chmod(1) of GNU says so; the others are compared with it by
 * tests/functional/copy-chmod.sh, which reads this table. */
static const struct {
	const char *text;
	mode_t from, file, dir;
} rows[] = {
	/* text, before, of a file, of a directory */
	{"u+x", 0644, 0744, 0744},
	{"g+w", 0644, 0664, 0664},
	{"o-r", 0644, 0640, 0640},
	{"a+x", 0644, 0755, 0755},
	{"+x", 0644, 0755, 0755},
	{"+rwx", 0, 0777, 0777},
	{"-w", 0666, 0444, 0444},
	{"ug+x", 0600, 0710, 0710},
	{"uo=r", 0777, 0474, 0474},
	{"ugo+w", 0444, 0666, 0666},
	{"u=rw", 0755, 0655, 0655},
	{"g=", 0777, 0707, 0707},
	{"=", 0777, 0, 0},
	{"u=", 0644, 0044, 0044},
	{"u+", 0644, 0644, 0644},
	{"a-", 0644, 0644, 0644},
	{"u+r-w", 0200, 0400, 0400},
	{"u=r+w", 0755, 0655, 0655},
	{"u+x,g+x", 0600, 0710, 0710},
	{"u=rwx,go=rx", 0, 0755, 0755},
	{"u=rwx,g=rx,o=", 0666, 0750, 0750},
	{"go-rwx", 0777, 0700, 0700},
	{"u+X", 0600, 0600, 0700},
	{"u+X", 0610, 0710, 0710},
	{"u+X", 0601, 0701, 0701},
	{"a+X", 0644, 0644, 0755},
	{"a+X", 0744, 0755, 0755},
	{"u=rwX,go=rX", 0600, 0644, 0755},
	{"u=rwX,go=rX", 0700, 0755, 0755},
	{"a-X", 0755, 0644, 0644},
	{"a-X", 0644, 0644, 0644},
	{"+X", 0640, 0640, 0751},
	{"g=X", 0674, 0614, 0614},     /* differs: GNU asks after `=` has cleared */
	{"a-x,u+X", 0755, 0744, 0744}, /* differs: GNU asks after `-` has cleared */
	{"a-x,a+X", 0644, 0644, 0755},
	{"u+s", 0755, 04755, 04755},
	{"g+s", 0755, 02755, 02755},
	{"ug+s", 0755, 06755, 06755},
	{"+s", 0755, 06755, 06755},
	{"a+s", 0755, 06755, 06755},
	{"o+s", 0755, 0755, 0755},
	{"u-s", 06755, 02755, 02755},
	{"g-s", 06755, 04755, 04755},
	{"a-s", 06755, 0755, 0755},
	{"u=rwxs,go=rx", 0644, 04755, 04755},
	{"u=rwx", 06755, 02755, 02755}, /* differs for directories in GNU */
	{"g=rx", 06755, 04755, 04755},  /* differs for directories in GNU */
	{"+t", 0755, 01755, 01755},
	{"a+t", 0755, 01755, 01755},
	{"-t", 01755, 0755, 0755},
	{"u+t", 0755, 01755, 01755},   /* differs: GNU ignores it */
	{"o+t", 0755, 0755, 0755},     /* differs: GNU sets it */
	{"a=rx", 01777, 01555, 01555}, /* differs: GNU clears it */
	{"a+rwxt", 0, 01777, 01777},
	{"+rt", 0, 01444, 01444},
	{"u=t", 0755, 01055, 01055}, /* differs: GNU ignores it */
	{"g=u", 0640, 0660, 0660},
	{"o=u", 0750, 0757, 0757},
	{"o=g", 0754, 0755, 0755},
	{"u=o", 0706, 0606, 0606},
	{"go=u", 0700, 0777, 0777},
	{"a=u", 0750, 0777, 0777},
	{"u=u", 0750, 0750, 0750},
	{"g+u", 0640, 0660, 0660},
	{"g-u", 0676, 0616, 0616},
	{"+u", 0400, 0444, 0444},
	{"-o", 0777, 0, 0},
	{"u+g,g-w", 0460, 0640, 0640},
	{"g=u", 04755, 0775 | 04000, 04775},
	{"g=ux", 0640, 0670, 0670}, /* differs: GNU takes one copy alone */
	{"g=uo", 0604, 0664, 0664}, /* differs: GNU takes one copy alone */
	{"a=,u+rw", 0777, 0600, 0600},
	{"ugo=rwx", 0, 0777, 0777},
	{"uu+xx", 0, 0100, 0100},
	{"ga=r", 0777, 0444, 0444},
	{"0", 0755, 0, 0},
	{"755", 0600, 0755, 0755},
	{"0644", 06755, 0644, 0644}, /* differs for directories in GNU */
	{"07777", 0, 07777, 07777},
	{"1777", 0600, 01777, 01777},
	{"00755", 0600, 0755, 0755},
};

static const char *const refused[] = {
	"",     "u",    "ugo",   "x",     "u+y",   "u+x,",    ",u+x",   "u+x,,g+x", "u +x",
	"u+ x", "8",    "0o755", "10000", "77777", "755,u+x", "u+x755", "rwx",      "+x;",
	"u/x",  "u+x ", "-1",    "=8",    "U+x",   "u+R",     "u+x\n",
};

static void test_mode__applies(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_mode_change c;

		if (rb_mode_parse(rows[i].text, &c) < 0) {
			printf("# refused: %s\n", rows[i].text);
			tap_failures++;
			continue;
		}
		mode_t file = rb_mode_apply(&c, S_IFREG | rows[i].from, false);
		mode_t dir = rb_mode_apply(&c, S_IFDIR | rows[i].from, true);
		if (file != rows[i].file || dir != rows[i].dir) {
			printf("# %s of %04o: %04o %04o\n", rows[i].text, rows[i].from, file, dir);
			tap_failures++;
		}
		CHECK_INT(c.octal, rb_ascii_isdigit(rows[i].text[0]));
	}
}

static void test_mode__refuses(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(refused); i++) {
		struct rb_mode_change c;

		if (rb_mode_parse(refused[i], &c) != -EINVAL) {
			printf("# taken: \"%s\"\n", refused[i]);
			tap_failures++;
		}
	}
}

static void test_mode__limit(void)
{
	struct rb_mode_change c;
	char text[3 * RB_MODE_OPS_MAX + 4] = "u+x";

	for (size_t i = 1; i < RB_MODE_OPS_MAX; i++)
		memcpy(text + 1 + 2 * i, "-x", 3);
	CHECK_INT(rb_mode_parse(text, &c), 0);
	CHECK_INT(c.n, RB_MODE_OPS_MAX);
	memcpy(text + strlen(text), "+x", 3);
	CHECK_INT(rb_mode_parse(text, &c), -EINVAL);
}

int main(void)
{
	return tap_run((const struct tap_test[]){TAP(test_mode__applies), TAP(test_mode__refuses),
						 TAP(test_mode__limit), TAP_END});
}
