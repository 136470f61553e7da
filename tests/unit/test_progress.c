// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "cli/progress/progress.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "tap.h"

#define MS    1000000LL
#define TICK  100 /* a row of a table that calls rb_progress_tick() */
#define NOTE  101
#define LOG2  102 /* stream 2 */
#define LIMIT (16u << 20)

struct step {
	int kind; /* enum rb_event_kind or TICK, NOTE, LOG2; -1 ends */
	unsigned vertex;
	int64_t ms;
	const char *text;
};

static void feed_bytes(struct rb_progress *p, const struct step *s, const char *data, size_t len)
{
	struct rb_event ev = {
		.kind = (enum rb_event_kind)(s->kind == LOG2 ? RB_EV_LOG : s->kind),
		.vertex = s->vertex,
		.time_ns = s->ms * MS,
		.name = s->kind == RB_EV_ADD ? data : NULL,
		.data = s->kind == RB_EV_ADD ? NULL : data,
		.len = s->kind == RB_EV_ADD ? 0 : len,
		.stream = s->kind == LOG2 ? 2 : 1,
	};

	if (s->kind == TICK)
		rb_progress_tick(p, s->ms * MS);
	else if (s->kind == NOTE)
		rb_progress_note(p, data);
	else
		rb_progress_event(p, &ev);
}

static void feed(struct rb_progress *p, const struct step *s)
{
	feed_bytes(p, s, s->text ? s->text : "", s->text ? strlen(s->text) : 0);
}

static struct rb_progress *new_on_memfd(enum rb_progress_kind kind, int *fd)
{
	*fd = memfd_create("progress", MFD_CLOEXEC);
	CHECK(*fd >= 0);
	return rb_progress_new(kind, *fd);
}

/* All that was written to fd, which is closed. */
static char *take_output(int fd)
{
	struct rb_buf b = RB_BUF_INIT;
	struct rb_error *err = NULL;

	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(rb_read_fd(fd, LIMIT, &b, &err) == 0);
	CHECK_OK(&err);
	rb_closep(&fd);
	return rb_buf_steal(&b);
}

static void check_output(enum rb_progress_kind kind, const struct step *steps, bool failed,
			 const char *want)
{
	int fd;
	RB_CLEANUP(rb_progress_freep) struct rb_progress *p = new_on_memfd(kind, &fd);
	int64_t end_ms = 0;

	for (const struct step *s = steps; s->kind >= 0; s++) {
		feed(p, s);
		end_ms = s->ms;
	}
	rb_progress_finish(p, failed, end_ms * MS);
	CHECK(!rb_progress_broken(p));
	RB_CLEANUP(rb_strp) char *got = take_output(fd);
	CHECK_STR(got, want);
}

static void test_progress__plain_line_shapes(void)
{
	static const struct step steps[] = {
		{RB_EV_ADD, 9, 0, "[build 2/3] RUN make"},
		{RB_EV_ADD, 4, 0, "[internal] load build context"},
		{RB_EV_ADD, 5, 0, "[stage-1 1/2] COPY --from=build /a /a"},
		{RB_EV_ADD, 6, 0, "never needed"},
		{RB_EV_START, 9, 1000, NULL},
		{RB_EV_LOG, 9, 1212, "cc -c a.c\n"},
		{RB_EV_START, 4, 1300, NULL},
		{RB_EV_STATUS, 4, 1310, "transferring context: 1.00kB"},
		{RB_EV_STATUS, 4, 1390, "transferring context: 2.10kB 0.0s done"},
		{RB_EV_DONE, 4, 1400, NULL},
		{TICK, 0, 2211, NULL},
		{TICK, 0, 2212, NULL},
		{RB_EV_WARN, 9, 4860, "late"},
		{RB_EV_LOG, 9, 4871, "ok"},
		{RB_EV_DONE, 9, 5000, NULL},
		{RB_EV_CACHED, 5, 5001, NULL},
		{RB_EV_CANCELED, 6, 5002, NULL},
		{-1, 0, 0, NULL},
	};

	check_output(RB_PROGRESS_PLAIN, steps, false,
		     "#1 [build 2/3] RUN make\n"
		     "#1 0.212 cc -c a.c\n"
		     "#1 ...\n"
		     "\n"
		     "#2 [internal] load build context\n"
		     "#2 transferring context: 2.10kB 0.0s done\n"
		     "#2 DONE 0.1s\n"
		     "\n"
		     "#1 [build 2/3] RUN make\n"
		     "#1 WARN: late\n"
		     "#1 3.871 ok\n"
		     "#1 DONE 4.0s\n"
		     "\n"
		     "#3 [stage-1 1/2] COPY --from=build /a /a\n"
		     "#3 CACHED\n"
		     "\n");
}

static void test_progress__plain_failure(void)
{
	static const struct step steps[] = {
		{RB_EV_ADD, 1, 0, "[a] RUN x"},
		{RB_EV_ADD, 2, 0, "[b] RUN y"},
		{RB_EV_ADD, 3, 0, "[c] RUN z"},
		{RB_EV_START, 1, 0, NULL},
		{RB_EV_START, 2, 0, NULL},
		{RB_EV_LOG, 1, 500, "\033[31mred\033[0m one\r\n"},
		{LOG2, 1, 600, "no newline"},
		{RB_EV_ERROR, 1, 700, "exit code: 1"},
		{RB_EV_CANCELED, 2, 800, NULL},
		{RB_EV_CANCELED, 3, 800, NULL},
		{-1, 0, 0, NULL},
	};

	check_output(RB_PROGRESS_PLAIN, steps, true,
		     "#1 [a] RUN x\n"
		     "#1 0.500 \033[31mred\033[0m one\r\n"
		     "#1 0.600 no newline\n"
		     "#1 ERROR: exit code: 1\n"
		     "\n"
		     "#2 [b] RUN y\n"
		     "#2 CANCELED\n"
		     "\n"
		     "------\n"
		     " > [a] RUN x:\n"
		     "0.500 red one\n"
		     "0.600 no newline\n"
		     "------\n");
	check_output(RB_PROGRESS_QUIET, steps, true,
		     "------\n > [a] RUN x:\n0.500 red one\n0.600 no newline\n------\n");
	check_output(RB_PROGRESS_QUIET, steps, false, "");
}

static void test_progress__plain_partial_lines(void)
{
	static const struct step steps[] = {
		{RB_EV_ADD, 1, 0, "[a]"},         {RB_EV_START, 1, 0, NULL},
		{RB_EV_LOG, 1, 100, "che"},       {LOG2, 1, 150, "warn"},
		{RB_EV_LOG, 1, 200, "cking... "}, {RB_EV_LOG, 1, 300, "ok\n\nnext\n"},
		{LOG2, 1, 400, "ing\n"},          {RB_EV_LOG, 1, 500, " 10%\r 20%\r"},
		{RB_EV_LOG, 1, 900, "\xff tail"}, {-1, 0, 0, NULL},
	};

	/* The build is broken off: nothing that was said is lost. */
	check_output(RB_PROGRESS_PLAIN, steps, false,
		     "#1 [a]\n"
		     "#1 0.100 checking... ok\n"
		     "#1 0.300 \n"
		     "#1 0.300 next\n"
		     "#1 0.150 warning\n"
		     "#1 0.500  10%\r 20%\r\xff tail\n"
		     "\n");
}

static void test_progress__plain_turns(void)
{
	static const struct step steps[] = {
		{RB_EV_ADD, 1, 0, "[a]"},
		{RB_EV_ADD, 2, 0, "[b]"},
		{RB_EV_ADD, 3, 0, "[c]"},
		{RB_EV_START, 1, 0, NULL},
		{RB_EV_START, 2, 0, NULL},
		{RB_EV_LOG, 2, 10, "b1\n"},
		{RB_EV_LOG, 1, 900, "a1\n"},
		{RB_EV_LOG, 1, 1800, "a2\n"},
		{RB_EV_LOG, 1, 2700, "a3\n"},
		{RB_EV_LOG, 1, 3600, "a4\n"},
		{RB_EV_CACHED, 3, 3700, NULL},
		{RB_EV_LOG, 1, 4500, "a5\n"},
		{NOTE, 0, 4500, "rbuild: warning: \033[2Jx"},
		{RB_EV_LOG, 1, 5400, "a6\n"}, /* has spoken for 5 s: one that ended is next */
		{RB_EV_LOG, 2, 5500, "b2\n"},
		{RB_EV_LOG, 1, 5600, "a7\n"},
		{RB_EV_DONE, 2, 6000, NULL},
		{RB_EV_DONE, 1, 6500, NULL},
		{-1, 0, 0, NULL},
	};

	check_output(RB_PROGRESS_PLAIN, steps, false,
		     "#1 [a]\n"
		     "#1 0.900 a1\n"
		     "#1 1.800 a2\n"
		     "#1 2.700 a3\n"
		     "#1 3.600 a4\n"
		     "#1 4.500 a5\n"
		     "rbuild: warning: x\n"
		     "#1 5.400 a6\n"
		     "#1 ...\n"
		     "\n"
		     "#2 [c]\n"
		     "#2 CACHED\n"
		     "\n"
		     "#3 [b]\n"
		     "#3 0.010 b1\n"
		     "#3 5.500 b2\n"
		     "#3 DONE 6.0s\n"
		     "\n"
		     "#1 [a]\n"
		     "#1 5.600 a7\n"
		     "#1 DONE 6.5s\n"
		     "\n");
}

/* Every line of every vertex, in order, whatever the interleaving. */
static void check_complete(const char *out, unsigned n_vertices, unsigned n_lines)
{
	RB_CLEANUP(rb_strp) char *copy = rb_strdup(out);
	unsigned next[16] = {0}, speaker = 0, header[16] = {0};
	char *save = NULL;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		unsigned number, vertex, line;

		if (sscanf(l, "#%u [v%u]", &number, &vertex) == 2) {
			speaker = number;
			header[number] = vertex;
		} else if (sscanf(l, "#%u %*f v%u line %u", &number, &vertex, &line) == 3) {
			CHECK_INT(number, speaker);
			CHECK_INT(vertex, header[number]);
			CHECK_INT(line, next[vertex]);
			next[vertex]++;
		}
	}
	for (unsigned i = 0; i < n_vertices; i++)
		CHECK_INT(next[i], n_lines);
}

static void test_progress__plain_parallel_is_complete(void)
{
	int fd;
	RB_CLEANUP(rb_progress_freep)
	struct rb_progress *p = new_on_memfd(RB_PROGRESS_PLAIN, &fd);
	char text[64];
	int64_t ms = 0;

	for (unsigned v = 0; v < 10; v++) {
		(void)snprintf(text, sizeof(text), "[v%u] RUN x", v);
		feed(p, &(struct step){RB_EV_ADD, v, ms, text});
		feed(p, &(struct step){RB_EV_START, v, ms, NULL});
	}
	for (unsigned line = 0; line < 200; line++)
		for (unsigned v = 0; v < 10; v++, ms += 7) {
			/* In two pieces, so that every line is a partial one for a while. */
			(void)snprintf(text, sizeof(text), "v%u line", v);
			feed(p, &(struct step){RB_EV_LOG, v, ms, text});
			(void)snprintf(text, sizeof(text), " %u\n", line);
			feed(p, &(struct step){RB_EV_LOG, v, ms, text});
		}
	for (unsigned v = 0; v < 10; v++)
		feed(p, &(struct step){RB_EV_DONE, v, ms, NULL});
	rb_progress_finish(p, false, ms * MS);
	RB_CLEANUP(rb_strp) char *out = take_output(fd);
	check_complete(out, 10, 200);
}

/* Thousands that end while one speaks: each whole, in the order in which they ended. */
static void test_progress__plain_many_wait(void)
{
	enum { N = 20000 };
	int fd;
	RB_CLEANUP(rb_progress_freep)
	struct rb_progress *p = new_on_memfd(RB_PROGRESS_PLAIN, &fd);
	RB_CLEANUP(rb_buf_clear) struct rb_buf want = RB_BUF_INIT;
	char text[64];

	feed(p, &(struct step){RB_EV_ADD, N, 0, "speaks"});
	feed(p, &(struct step){RB_EV_START, N, 0, NULL});
	rb_buf_addstr(&want, "#1 speaks\n#1 DONE 0.1s\n\n");
	for (unsigned v = 0; v < N; v++) {
		(void)snprintf(text, sizeof(text), "[v%u]", v);
		feed(p, &(struct step){RB_EV_ADD, v, 1, text});
		feed(p, &(struct step){RB_EV_START, v, 1, NULL});
		if (v % 2)
			feed(p, &(struct step){RB_EV_LOG, v, 1, "x\n"});
	}
	for (unsigned v = N; v-- > 0;) {
		feed(p, &(struct step){RB_EV_DONE, v, 1, NULL});
		rb_buf_addf(&want, "#%u [v%u]\n", N - v + 1, v);
		if (v % 2)
			rb_buf_addf(&want, "#%u 0.000 x\n", N - v + 1);
		rb_buf_addf(&want, "#%u DONE 0.0s\n\n", N - v + 1);
	}
	feed(p, &(struct step){RB_EV_DONE, N, 100, NULL});
	rb_progress_finish(p, false, 100 * MS);
	RB_CLEANUP(rb_strp) char *out = take_output(fd);
	CHECK(rb_streq(out, want.ptr));
}

/* A vertex that waits with more than a mebibyte gets the word at once; a line without an end is
 * broken there. */
static void test_progress__plain_bounded(void)
{
	static const struct step begin[] = {
		{RB_EV_ADD, 1, 0, "[a]"},
		{RB_EV_ADD, 2, 0, "[b]"},
		{RB_EV_START, 1, 0, NULL},
		{RB_EV_START, 2, 0, NULL},
	};
	int fd;
	RB_CLEANUP(rb_progress_freep)
	struct rb_progress *p = new_on_memfd(RB_PROGRESS_PLAIN, &fd);
	size_t len = 3u << 20;
	RB_CLEANUP(rb_strp) char *big = rb_malloc(len);

	memset(big, 'x', len);
	for (size_t i = 0; i < RB_ARRAY_LEN(begin); i++)
		feed(p, &begin[i]);
	feed_bytes(p, &(struct step){RB_EV_LOG, 2, 1, NULL}, big, len - 1);
	CHECK(lseek(fd, 0, SEEK_CUR) > (off_t)(2u << 20));
	feed(p, &(struct step){RB_EV_LOG, 2, 2, "y\n"});
	rb_progress_finish(p, false, 3 * MS);
	RB_CLEANUP(rb_strp) char *out = take_output(fd);
	size_t n_x = 0, n_lines = 0;
	for (const char *s = out; *s; s++) {
		n_x += *s == 'x';
		n_lines += *s == '\n';
	}
	CHECK_INT(n_x, len - 1);
	/* Header, "...", blank, header, three pieces, blank, nothing of [a]. */
	CHECK_INT(n_lines, 8);
}

static void test_progress__broken_output(void)
{
	int p[2];

	CHECK_INT(rb_pipe(p), 0);
	RB_CLEANUP(rb_closep) int out = p[1];
	rb_closep(&p[0]);
	RB_CLEANUP(rb_progress_freep)
	struct rb_progress *pr = rb_progress_new(RB_PROGRESS_PLAIN, out);
	feed(pr, &(struct step){RB_EV_ADD, 1, 0, "[a]"});
	CHECK(!rb_progress_broken(pr));
	feed(pr, &(struct step){RB_EV_CACHED, 1, 0, NULL});
	CHECK(rb_progress_broken(pr));
	rb_progress_finish(pr, false, 0);
}

/* ---- a small terminal ------------------------------------------------------------------- */

struct screen {
	unsigned width, height, row, col;
	char (*cell)[8]; /* UTF-8 of each place, height * width; "" is blank */
	struct rb_buf scrolled;
	bool cursor_hidden, no_wrap;
	unsigned unknown; /* sequences that the renderer has no business to send */
};

static char *cell_at(struct screen *s, unsigned row, unsigned col)
{
	return s->cell[row * s->width + col];
}

static void row_text(struct screen *s, unsigned row, struct rb_buf *out)
{
	size_t keep = out->len;

	for (unsigned c = 0; c < s->width; c++) {
		const char *t = cell_at(s, row, c);

		rb_buf_addstr(out, *t ? t : " ");
		if (*t && *t != ' ')
			keep = out->len;
	}
	rb_buf_truncate(out, keep);
	rb_buf_addch(out, '\n');
}

static void line_feed(struct screen *s)
{
	if (s->row + 1 < s->height) {
		s->row++;
		return;
	}
	row_text(s, 0, &s->scrolled);
	memmove(s->cell, s->cell + s->width, (s->height - 1) * s->width * sizeof(*s->cell));
	memset(s->cell + (s->height - 1) * s->width, 0, s->width * sizeof(*s->cell));
}

static void erase_from_cursor(struct screen *s, bool below)
{
	unsigned from = s->row * s->width + s->col;
	unsigned to = (below ? s->height : s->row + 1) * s->width;

	/* After a character in the last column the cursor stands on that column. */
	if (s->col == s->width)
		from--;
	memset(s->cell + from, 0, (to - from) * sizeof(*s->cell));
}

static size_t control(struct screen *s, const char *t, size_t len)
{
	static const char *const modes[] = {"\x1b[?25l", "\x1b[?25h", "\x1b[?7l", "\x1b[?7h"};
	size_t n = 2;
	unsigned arg = 0;

	for (size_t i = 0; i < RB_ARRAY_LEN(modes); i++)
		if (len >= strlen(modes[i]) && !memcmp(t, modes[i], strlen(modes[i]))) {
			*(i < 2 ? &s->cursor_hidden : &s->no_wrap) = !(i % 2);
			return strlen(modes[i]);
		}
	for (; n < len && t[n] >= '0' && t[n] <= '9'; n++)
		arg = arg * 10 + (unsigned)(t[n] - '0');
	switch (len > n && t[1] == '[' ? t[n] : 0) {
	case 'A':
		CHECK(arg <= s->row);
		s->row -= arg <= s->row ? arg : s->row;
		break;
	case 'K':
		erase_from_cursor(s, false);
		break;
	case 'J':
		erase_from_cursor(s, true);
		break;
	case 'm':
		break;
	default:
		s->unknown++;
	}
	return n + 1;
}

static void put(struct screen *s, const char *t, size_t n)
{
	if (s->col == s->width) {
		if (s->no_wrap) {
			s->col--;
		} else {
			s->col = 0;
			line_feed(s);
		}
	}
	memset(cell_at(s, s->row, s->col), 0, sizeof(*s->cell));
	memcpy(cell_at(s, s->row, s->col), t, n);
	s->col++;
}

static void screen_feed(struct screen *s, const char *t, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		unsigned char c = (unsigned char)t[i];

		n = 1;
		if (c == '\r') {
			s->col = 0;
		} else if (c == '\n') {
			line_feed(s);
		} else if (c == 0x1b) {
			n = control(s, t + i, len - i);
		} else if (c < 0x20 || c == 0x7f) {
			s->unknown++;
		} else {
			n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
			put(s, t + i, n);
		}
	}
}

struct tty {
	int master, slave;
	struct screen screen;
	struct rb_progress *p;
};

static void tty_open(struct tty *t, unsigned width, unsigned height)
{
	struct winsize ws = {.ws_col = (unsigned short)width, .ws_row = (unsigned short)height};
	char name[64] = "";

	*t = (struct tty){.screen = {.width = width, .height = height, .scrolled = RB_BUF_INIT}};
	t->screen.cell = rb_calloc((size_t)width * height, sizeof(*t->screen.cell));
	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	CHECK(t->master >= 0);
	CHECK(grantpt(t->master) == 0 && unlockpt(t->master) == 0 &&
	      ptsname_r(t->master, name, sizeof(name)) == 0);
	t->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	CHECK(t->slave >= 0);
	CHECK(ioctl(t->slave, TIOCSWINSZ, &ws) == 0);
	t->p = rb_progress_new(RB_PROGRESS_TTY, t->slave);
}

static void tty_close(struct tty *t)
{
	rb_progress_free(t->p);
	rb_closep(&t->master);
	rb_closep(&t->slave);
	free(t->screen.cell);
	rb_buf_clear(&t->screen.scrolled);
}

/* Shows on the screen what was written. A drawing is complete: the cursor is back. */
static void tty_show(struct tty *t)
{
	char buf[4096];
	ssize_t n;
	struct pollfd pfd = {.fd = t->master, .events = POLLIN};
	struct rb_buf all = RB_BUF_INIT;

	while (poll(&pfd, 1, 20) > 0 && (n = read(t->master, buf, sizeof(buf))) > 0)
		rb_buf_add(&all, buf, (size_t)n);
	screen_feed(&t->screen, all.ptr, all.len);
	rb_buf_clear(&all);
	CHECK(!t->screen.cursor_hidden && !t->screen.no_wrap);
	CHECK_INT(t->screen.unknown, 0);
}

static void tty_feed(struct tty *t, const struct step *steps)
{
	for (const struct step *s = steps; s->kind >= 0; s++)
		feed(t->p, s);
	tty_show(t);
}

/* The rows of the screen down to the last one in use, after what scrolled off. */
static void check_screen(struct tty *t, const char *want)
{
	struct rb_buf b = RB_BUF_INIT;

	rb_buf_add(&b, t->screen.scrolled.ptr, t->screen.scrolled.len);
	for (unsigned r = 0; r < t->screen.height; r++)
		row_text(&t->screen, r, &b);
	while (b.len > 1 && b.ptr[b.len - 1] == '\n' && b.ptr[b.len - 2] == '\n')
		rb_buf_truncate(&b, b.len - 1);
	CHECK_STR(b.ptr, want);
	rb_buf_clear(&b);
}

static const struct step tty_steps[] = {
	{RB_EV_ADD, 1, 0, "[internal] load build definition from Dockerfile"},
	{RB_EV_ADD, 2, 0, "[build 1/3] FROM docker.io/library/gcc:14"},
	{RB_EV_ADD, 3, 0, "[build 2/3] RUN make"},
	{RB_EV_ADD, 4, 0, "[build 3/3] COPY a b"},
	{RB_EV_START, 1, 0, NULL},
	{RB_EV_STATUS, 1, 10, "transferring dockerfile: 312B"},
	{RB_EV_DONE, 1, 30, NULL},
	{RB_EV_CACHED, 2, 40, NULL},
	{RB_EV_START, 3, 500, NULL},
	{RB_EV_LOG, 3, 600, "1\n2\n3\n4\n5\n6\nseven \xc3\xa4\xe4\xb8\xad\n"},
	{RB_EV_LOG, 3, 700, "cc -c a.c\r\n 10%\r 20%\r 30%\r"},
	{TICK, 0, 3400, NULL},
	{-1, 0, 0, NULL},
};

static void test_progress__tty_rows(void)
{
	static const struct step rest[] = {
		{RB_EV_DONE, 3, 3500, NULL},
		{RB_EV_START, 4, 3500, NULL},
		{RB_EV_ERROR, 4, 3600, "no such file"},
		{-1, 0, 0, NULL},
	};
	struct tty t;

	tty_open(&t, 60, 24);
	CHECK_INT(rb_progress_tick_ms(t.p), 100);
	tty_feed(&t, tty_steps);
	check_screen(&t, "[+] Building 3.4s (2/4)\n"
			 " => [internal] load build definition from Dockerfile    0.0s\n"
			 " => => transferring dockerfile: 312B                    0.0s\n"
			 " => CACHED [build 1/3] FROM docker.io/library/gcc:14    0.0s\n"
			 " => [build 2/3] RUN make                                2.9s\n"
			 " => => # 4\n"
			 " => => # 5\n"
			 " => => # 6\n"
			 " => => # seven \xc3\xa4\xe4\xb8\xad\n"
			 " => => # cc -c a.c\n"
			 " => => #  30%\n");
	tty_feed(&t, rest);
	rb_progress_finish(t.p, true, 3600 * MS);
	tty_show(&t);
	check_screen(&t, "[+] Building 3.6s (4/4) FINISHED\n"
			 " => [internal] load build definition from Dockerfile    0.0s\n"
			 " => => transferring dockerfile: 312B                    0.0s\n"
			 " => CACHED [build 1/3] FROM docker.io/library/gcc:14    0.0s\n"
			 " => [build 2/3] RUN make                                3.0s\n"
			 " => ERROR [build 3/3] COPY a b                          0.1s\n");
	CHECK_INT(rb_progress_tick_ms(t.p), -1);
	tty_close(&t);
}

static void test_progress__tty_widths(void)
{
	static const unsigned widths[] = {40, 80, 200};

	for (size_t i = 0; i < RB_ARRAY_LEN(widths); i++) {
		struct tty t;
		struct rb_buf want = RB_BUF_INIT;
		RB_CLEANUP(rb_strp) char *name = rb_malloc(301);

		memset(name, 'n', 300);
		name[300] = '\0';
		tty_open(&t, widths[i], 10);
		tty_feed(&t, (struct step[]){{RB_EV_ADD, 1, 0, name},
					     {RB_EV_START, 1, 0, NULL},
					     {RB_EV_LOG, 1, 0, name},
					     {TICK, 0, 12300, NULL},
					     {TICK, 0, 12400, NULL},
					     {-1, 0, 0, NULL}});
		rb_buf_addf(&want, "[+] Building 12.4s (0/1)\n => %.*s 12.4s\n => => # %.*s\n",
			    (int)widths[i] - 10, name, (int)widths[i] - 9, name);
		check_screen(&t, want.ptr);
		rb_buf_clear(&want);
		tty_close(&t);
	}
}

static void test_progress__tty_hostile_logs(void)
{
	static const struct {
		const char *log, *shown;
	} rows[] = {
		{"\033[2J\033[H\033[31mred\033[0m", "red"},
		{"\033]0;title\007a\033]8;;http://x\033\\link\033]8;;\033\\", "alink"},
		{"\033P+q544e\033\\dcs \033_apc\033\\ \033cris \033(B\033#8x", "dcs  ris x"},
		{"a\bb\vc\fd\a\177e\016f", "abcdef"},
		{"c1 \xc2\x9b"
		 "2J \xc2\x85"
		 "end",
		 "c1 2J end"},
		{"raw c1 \x9b"
		 "2J",
		 "raw c1 \xef\xbf\xbd"
		 "2J"},
		{"over \xc0\xaf long \xed\xa0\x80",
		 "over \xef\xbf\xbd\xef\xbf\xbd long \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"bidi \xe2\x80\xaegnp.exe", "bidi gnp.exe"},
		{"a\tb", "a       b"},
		{"unfinished \033[12;", "unfinished"},
		{"unfinished \033", "unfinished"},
		{"unfinished \033]0;t", "unfinished"},
		{"old\rnew\r", "new"},
		{"nul \033[\033[1mx", "nul x"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct tty t;
		RB_CLEANUP(rb_strp)
		char *want = rb_asprintf("[+] Building 1.0s (0/1)\n"
					 " => [a]                             1.0s\n"
					 " => => # %s\n",
					 rows[i].shown);

		tty_open(&t, 40, 10);
		tty_feed(&t, (struct step[]){{RB_EV_ADD, 1, 0, "[\033[5ma]\033[2J"},
					     {RB_EV_START, 1, 0, NULL},
					     {RB_EV_LOG, 1, 0, rows[i].log},
					     {TICK, 0, 1000, NULL},
					     {-1, 0, 0, NULL}});
		check_screen(&t, want);
		/* The same as a complete line. */
		tty_feed(&t, (struct step[]){{RB_EV_LOG, 1, 1000, "\n"},
					     {TICK, 0, 1000, NULL},
					     {-1, 0, 0, NULL}});
		check_screen(&t, want);
		tty_close(&t);
	}
}

static void add_running(struct tty *t, unsigned n, const char *logs)
{
	char name[32];

	for (unsigned v = 0; v < n; v++) {
		(void)snprintf(name, sizeof(name), "[s%u]", v);
		feed(t->p, &(struct step){RB_EV_ADD, v, 0, name});
	}
	for (unsigned v = 0; v < n; v++) {
		feed(t->p, &(struct step){RB_EV_START, v, 0, NULL});
		feed(t->p, &(struct step){RB_EV_LOG, v, 0, logs});
	}
}

/* Ten steps at once in ten rows: finished ones go first, then log rows, then what does not fit. */
static void test_progress__tty_height(void)
{
	struct tty t;

	tty_open(&t, 34, 10);
	add_running(&t, 10, "1\n2\n3\n");
	tty_feed(&t, (struct step[]){{TICK, 0, 1000, NULL}, {-1, 0, 0, NULL}});
	check_screen(&t, "[+] Building 1.0s (0/10)\n"
			 " => [s0]                      1.0s\n"
			 " => [s1]                      1.0s\n"
			 " => [s2]                      1.0s\n"
			 " => [s3]                      1.0s\n"
			 " => [s4]                      1.0s\n"
			 " => [s5]                      1.0s\n"
			 " => [s6]                      1.0s\n"
			 " => [s7]                      1.0s\n");
	for (unsigned v = 1; v < 8; v++)
		feed(t.p, &(struct step){RB_EV_DONE, v, 1000, NULL});
	tty_feed(&t, (struct step[]){{TICK, 0, 2000, NULL}, {-1, 0, 0, NULL}});
	check_screen(&t, "[+] Building 2.0s (7/10)\n"
			 " => [s0]                      2.0s\n"
			 " => => # 3\n"
			 " => [s6]                      1.0s\n"
			 " => [s7]                      1.0s\n"
			 " => [s8]                      2.0s\n"
			 " => => # 3\n"
			 " => [s9]                      2.0s\n"
			 " => => # 3\n");
	for (unsigned v = 8; v < 11; v++)
		feed(t.p, &(struct step){RB_EV_DONE, v % 10, 2000, NULL});
	rb_progress_finish(t.p, false, 2100 * MS);
	tty_show(&t);
	/* The last drawing shows everything and scrolls. */
	check_screen(&t, "[+] Building 2.1s (10/10) FINISHED\n"
			 " => [s0]                      2.0s\n"
			 " => [s1]                      1.0s\n"
			 " => [s2]                      1.0s\n"
			 " => [s3]                      1.0s\n"
			 " => [s4]                      1.0s\n"
			 " => [s5]                      1.0s\n"
			 " => [s6]                      1.0s\n"
			 " => [s7]                      1.0s\n"
			 " => [s8]                      2.0s\n"
			 " => [s9]                      2.0s\n");
	tty_close(&t);
}

static void test_progress__tty_note_and_warning(void)
{
	struct tty t;

	tty_open(&t, 40, 10);
	tty_feed(&t, (struct step[]){{RB_EV_ADD, 1, 0, "[a]"},
				     {NOTE, 0, 0, "rbuild: debug: early"},
				     {RB_EV_START, 1, 100, NULL},
				     {RB_EV_LOG, 1, 100, "x\n"},
				     {NOTE, 0, 0, "rbuild: \033[2Jwarning: careful"},
				     {RB_EV_WARN, 1, 1100, "old thing"},
				     {TICK, 0, 2000, NULL},
				     {-1, 0, 0, NULL}});
	check_screen(&t, "rbuild: debug: early\n"
			 "rbuild: warning: careful\n"
			 "warning: [a]: old thing\n"
			 "[+] Building 2.0s (0/1)\n"
			 " => [a]                             1.9s\n"
			 " => => # x\n");
	tty_close(&t);
}

/* Not more than ten drawings a second, however many events there are. */
static void test_progress__tty_redraws_rarely(void)
{
	int fd;
	RB_CLEANUP(rb_progress_freep) struct rb_progress *p = new_on_memfd(RB_PROGRESS_TTY, &fd);
	size_t n = 0;

	feed(p, &(struct step){RB_EV_ADD, 1, 0, "[a]"});
	feed(p, &(struct step){RB_EV_START, 1, 0, NULL});
	for (int64_t ms = 0; ms < 1000; ms++)
		feed(p, &(struct step){RB_EV_LOG, 1, ms, "line\n"});
	rb_progress_finish(p, false, 1000 * MS);
	RB_CLEANUP(rb_strp) char *out = take_output(fd);
	for (const char *s = out; (s = strstr(s, "Building")); s++)
		n++;
	CHECK_INT(n, 11);
}

static void test_progress__no_color(void)
{
	for (int i = 0; i < 3; i++) {
		static const char *const values[] = {NULL, "", "1"};
		int fd;

		if (values[i])
			CHECK(setenv("NO_COLOR", values[i], 1) == 0);
		RB_CLEANUP(rb_progress_freep)
		struct rb_progress *p = new_on_memfd(RB_PROGRESS_TTY, &fd);
		for (const struct step *s = tty_steps; s->kind >= 0; s++)
			feed(p, s);
		RB_CLEANUP(rb_strp) char *out = take_output(fd);
		CHECK_INT(strstr(out, "\033[34m") != NULL, i < 2);
		CHECK_INT(strstr(out, "\033[2m") != NULL, i < 2);
		CHECK_INT(strstr(out, "\033[0m") != NULL, i < 2);
	}
	CHECK(unsetenv("NO_COLOR") == 0);
}

static void test_progress__colors(void)
{
	static const struct {
		const char *value, *run, *note;
	} rows[] = {
		{"", "\033[34m", NULL},
		{"run=green", "\033[32m", NULL},
		{"error=red:RUN=Light-Cyan", "\033[96m", NULL},
		{"run=255,165,0:warning=blue", "\033[38;2;255;165;0m", NULL},
		{"run=default", "\033[39m", NULL},
		{"run=256,0,0", "\033[34m", "run=256,0,0"},
		{"run=1,2", "\033[34m", "run=1,2"},
		{"walk=red:run=red", "\033[31m", "walk=red"},
		{"run=\033[5m", "\033[34m", "is not understood"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_progress_freep)
		struct rb_progress *notes = NULL;
		int fd, notes_fd;

		notes = new_on_memfd(RB_PROGRESS_PLAIN, &notes_fd);
		rb_log_set_sink(rb_progress_note, notes);
		CHECK(setenv("BUILDKIT_COLORS", rows[i].value, 1) == 0);
		RB_CLEANUP(rb_progress_freep)
		struct rb_progress *p = new_on_memfd(RB_PROGRESS_TTY, &fd);
		rb_log_set_sink(NULL, NULL);
		for (const struct step *s = tty_steps; s->kind >= 0; s++)
			feed(p, s);
		RB_CLEANUP(rb_strp) char *out = take_output(fd);
		RB_CLEANUP(rb_strp) char *said = take_output(notes_fd);
		CHECK(strstr(out, rows[i].run) != NULL);
		CHECK_INT(strstr(out, "\033[34m") != NULL, rb_streq(rows[i].run, "\033[34m"));
		CHECK(rows[i].note ? strstr(said, rows[i].note) != NULL : !*said);
		CHECK(!strchr(said, '\033'));
	}
	CHECK(unsetenv("BUILDKIT_COLORS") == 0);
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	(void)unsetenv("NO_COLOR");
	(void)unsetenv("BUILDKIT_COLORS");
	return tap_run((const struct tap_test[]){
		TAP(test_progress__plain_line_shapes),
		TAP(test_progress__plain_failure),
		TAP(test_progress__plain_partial_lines),
		TAP(test_progress__plain_turns),
		TAP(test_progress__plain_parallel_is_complete),
		TAP(test_progress__plain_many_wait),
		TAP(test_progress__plain_bounded),
		TAP(test_progress__broken_output),
		TAP(test_progress__tty_rows),
		TAP(test_progress__tty_widths),
		TAP(test_progress__tty_hostile_logs),
		TAP(test_progress__tty_height),
		TAP(test_progress__tty_note_and_warning),
		TAP(test_progress__tty_redraws_rarely),
		TAP(test_progress__no_color),
		TAP(test_progress__colors),
		TAP_END,
	});
}
