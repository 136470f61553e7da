// SPDX-License-Identifier: Apache-2.0
#include "dockerfile/values.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

/* ---- Ports ---- */

struct port_range {
	unsigned first, last;
};

static bool parse_range(struct rb_slice s, struct port_range *ret)
{
	const char *dash = memchr(s.ptr, '-', s.len);
	struct rb_slice a = {s.ptr, dash ? (size_t)(dash - s.ptr) : s.len};
	struct rb_slice b = a;
	uint64_t first, last;

	if (dash)
		b = (struct rb_slice){dash + 1, s.len - a.len - 1};
	if (rb_parse_u64(a, 65535, &first) < 0 || rb_parse_u64(b, 65535, &last) < 0 || first > last)
		return false;
	*ret = (struct port_range){(unsigned)first, (unsigned)last};
	return true;
}

static bool is_address(struct rb_slice s)
{
	struct in6_addr a;

	if (s.len >= 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
		s = (struct rb_slice){s.ptr + 1, s.len - 2};
	RB_CLEANUP(rb_strp) char *text = rb_strndup(s.ptr, s.len);
	return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

/* "[ip:]host" in front of the container port: good for nothing here, but it must make sense. */
static int check_host_part(struct rb_slice s, struct port_range container, struct rb_error **err)
{
	const char *colon = memrchr(s.ptr, ':', s.len);
	struct rb_slice ip = {s.ptr, colon ? (size_t)(colon - s.ptr) : 0};
	struct rb_slice host = colon ? (struct rb_slice){colon + 1, s.len - ip.len - 1} : s;
	struct port_range range;

	if (ip.len && !is_address(ip))
		return rb_fail(err, RB_ERR_DOCKERFILE, "invalid IP address: %.*s", (int)ip.len,
			       ip.ptr);
	if (!host.len)
		return 0;
	if (!parse_range(host, &range))
		return rb_fail(err, RB_ERR_DOCKERFILE, "invalid hostPort: %.*s", (int)host.len,
			       host.ptr);
	/* One container port may be given a range of the host to choose from. */
	if (range.last - range.first != container.last - container.first &&
	    container.last != container.first)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"invalid ranges specified for container and host ports: %u-%u and %.*s",
			container.first, container.last, (int)host.len, host.ptr);
	return 0;
}

static const char *const protos[] = {"tcp", "udp", "sctp"};

static int invalid_proto(const char *proto, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;

	return rb_fail(err, RB_ERR_DOCKERFILE, "invalid proto: %s%s: it is tcp, udp or sctp", proto,
		       rb_suggest(&hint, proto, protos, RB_ARRAY_LEN(protos)));
}

static const char *parse_proto(const char *s)
{
	if (!*s)
		return protos[0];
	for (size_t i = 0; i < RB_ARRAY_LEN(protos); i++)
		if (rb_ascii_strcaseeq(s, protos[i]))
			return protos[i];
	return NULL;
}

int rb_dockerfile_parse_port(const char *spec, struct rb_strv *ret, struct rb_error **err)
{
	const char *slash = strchr(spec, '/');
	struct rb_slice ports = {spec, slash ? (size_t)(slash - spec) : strlen(spec)};
	const char *colon = memrchr(ports.ptr, ':', ports.len);
	const char *start = colon ? colon + 1 : spec;
	struct rb_slice container = {start, ports.len - (size_t)(start - spec)};
	const char *proto = parse_proto(slash ? slash + 1 : "");
	struct port_range range;

	if (!proto)
		return invalid_proto(slash + 1, err);
	if (!parse_range(container, &range))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"invalid containerPort: %.*s: write a number up to 65535, or a range like 8000-8010",
			(int)container.len, container.ptr);
	if (colon &&
	    check_host_part((struct rb_slice){spec, (size_t)(colon - spec)}, range, err) < 0)
		return -1;
	for (unsigned p = range.first; p <= range.last; p++)
		rb_strv_addf(ret, "%u/%s", p, proto);
	return 0;
}

/* ---- Signals ---- */

/* Sorted by use: these are compared once per STOPSIGNAL. */
static const char *const signal_names[] = {
	"TERM", "KILL", "INT",  "QUIT", "HUP",    "USR1",   "USR2", "WINCH", "ABRT",
	"ALRM", "BUS",  "CHLD", "CLD",  "CONT",   "FPE",    "ILL",  "IO",    "IOT",
	"PIPE", "POLL", "PROF", "PWR",  "SEGV",   "STKFLT", "STOP", "SYS",   "TRAP",
	"TSTP", "TTIN", "TTOU", "URG",  "VTALRM", "XCPU",   "XFSZ", "RTMIN", "RTMAX",
};

static bool equal_fold(struct rb_slice s, const char *name)
{
	if (s.len != strlen(name))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (rb_ascii_upper(s.ptr[i]) != name[i])
			return false;
	return true;
}

/* RTMIN+1 to RTMIN+15 and RTMAX-14 to RTMAX-1. */
static bool is_realtime_signal(struct rb_slice s)
{
	uint64_t n;

	if (s.len < 7 || rb_parse_u64((struct rb_slice){s.ptr + 6, s.len - 6}, 15, &n) < 0 ||
	    n == 0 || s.ptr[6] == '0')
		return false;
	struct rb_slice base = {s.ptr, 6};
	return equal_fold(base, "RTMIN+") || (equal_fold(base, "RTMAX-") && n < 15);
}

static bool is_number_but_zero(struct rb_slice s)
{
	uint64_t n;

	if (s.len && (*s.ptr == '+' || *s.ptr == '-'))
		s = (struct rb_slice){s.ptr + 1, s.len - 1};
	return rb_parse_u64(s, INT64_MAX, &n) == 0 && n != 0;
}

static int invalid_signal(const char *text, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	size_t n = rb_ascii_isalpha(*text) ? RB_ARRAY_LEN(signal_names) : 0;
	bool prefix = strlen(text) > 3 && equal_fold((struct rb_slice){text, 3}, "SIG");

	for (size_t i = 0; i < n; i++)
		rb_strv_addf(&names, "%s%s", prefix ? "SIG" : "", signal_names[i]);
	return rb_fail(err, RB_ERR_DOCKERFILE,
		       "invalid signal: %s%s: write a name like SIGTERM, or a number",
		       *text ? text : "\"\"",
		       rb_suggest(&hint, text, (const char *const *)names.v, names.n));
}

int rb_dockerfile_check_signal(const char *text, struct rb_error **err)
{
	struct rb_slice s = rb_slice_str(text);

	if (is_number_but_zero(s))
		return 0;
	if (s.len > 3 && equal_fold((struct rb_slice){text, 3}, "SIG"))
		s = (struct rb_slice){text + 3, s.len - 3};
	for (size_t i = 0; i < RB_ARRAY_LEN(signal_names); i++)
		if (equal_fold(s, signal_names[i]))
			return 0;
	if (is_realtime_signal(s))
		return 0;
	return invalid_signal(text, err);
}

/* ---- Modes ---- */

int rb_dockerfile_parse_chmod(const char *text, struct rb_mode_change *ret, struct rb_error **err)
{
	if (rb_mode_parse(text, ret) == 0)
		return 0;
	return rb_fail(
		err, RB_ERR_DOCKERFILE,
		"invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777, or symbolic as for chmod(1), like u=rwX,go=rX",
		text);
}

/* ---- Durations ---- */

#define NS_PER_US 1000ull
#define NS_PER_MS (1000 * NS_PER_US)
#define NS_PER_S  (1000 * NS_PER_MS)

static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
	{"ns", 1},
	{"us", NS_PER_US},
	{"\xc2\xb5s", NS_PER_US}, /* micro sign */
	{"\xce\xbcs", NS_PER_US}, /* Greek mu */
	{"ms", NS_PER_MS},
	{"s", NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
};

static uint64_t find_unit(struct rb_slice s)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(units); i++)
		if (rb_slice_eq(s, units[i].name))
			return units[i].ns;
	return 0;
}

static size_t count_digits(const char *s)
{
	size_t n = 0;

	while (rb_ascii_isdigit(s[n]))
		n++;
	return n;
}

/* The fraction .ddd of one unit, cut off below a nanosecond: units are 36, 6 or 1 times a power of
 * ten, so that each step is exact until then. */
static uint64_t fraction(const char *digits, size_t n, uint64_t unit)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n && unit > 1; i++) {
		value += unit * (uint64_t)(digits[i] - '0') / 10;
		if (unit % 10 != 0)
			break;
		unit /= 10;
	}
	return value;
}

/* One "12.5ms" at *p; adds to *total. */
static bool duration_part(const char **p, uint64_t *total)
{
	const char *s = *p;
	size_t n = count_digits(s), n_fraction = 0;
	uint64_t whole = 0, part;
	const char *digits = NULL;

	if (n && rb_parse_u64((struct rb_slice){s, n}, INT64_MAX, &whole) < 0)
		return false;
	s += n;
	if (*s == '.') {
		digits = ++s;
		n_fraction = count_digits(s);
		s += n_fraction;
	}
	if (n + n_fraction == 0)
		return false;
	struct rb_slice name = {s, strcspn(s, ".0123456789")};
	uint64_t unit = find_unit(name);
	*p = s + name.len;
	if (!unit || __builtin_mul_overflow(whole, unit, &part) ||
	    __builtin_add_overflow(part, fraction(digits, n_fraction, unit), &part) ||
	    __builtin_add_overflow(*total, part, total))
		return false;
	return *total <= INT64_MAX;
}

int rb_dockerfile_parse_duration(const char *text, int64_t *ret_ns, struct rb_error **err)
{
	const char *p = text + (*text == '-' || *text == '+');
	uint64_t total = 0;
	bool ok = *p != '\0';

	if (rb_streq(p, "0"))
		p = "";
	while (ok && *p)
		ok = duration_part(&p, &total);
	if (!ok)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"invalid duration \"%.60s\": write numbers with units h, m, s, ms, us or ns, like 1m30s",
			text);
	*ret_ns = *text == '-' ? -(int64_t)total : (int64_t)total;
	return 0;
}

/* value / unit with the digits after the point that are needed. */
static void add_decimal(struct rb_buf *b, uint64_t value, uint64_t unit)
{
	uint64_t rest = value % unit;

	rb_buf_addf(b, "%" PRIu64, value / unit);
	if (rest)
		rb_buf_addch(b, '.');
	while (rest) {
		unit /= 10;
		rb_buf_addch(b, (char)('0' + rest / unit));
		rest %= unit;
	}
}

void rb_dockerfile_add_duration(struct rb_buf *b, int64_t ns)
{
	uint64_t v = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	const uint64_t minute = 60 * NS_PER_S, hour = 60 * minute;

	if (ns < 0)
		rb_buf_addch(b, '-');
	if (v == 0) {
		rb_buf_addstr(b, "0s");
	} else if (v < NS_PER_S) {
		uint64_t unit = v < NS_PER_US ? 1 : v < NS_PER_MS ? NS_PER_US : NS_PER_MS;

		add_decimal(b, v, unit);
		rb_buf_addstr(b, unit == 1 ? "ns" : unit == NS_PER_US ? "\xc2\xb5s" : "ms");
	} else {
		if (v >= hour)
			rb_buf_addf(b, "%" PRIu64 "h", v / hour);
		if (v >= minute)
			rb_buf_addf(b, "%" PRIu64 "m", v % hour / minute);
		add_decimal(b, v % minute, NS_PER_S);
		rb_buf_addch(b, 's');
	}
}

/* ---- Go quoting ---- */

static void add_quoted_rune(struct rb_buf *b, uint32_t c, const char *s, size_t n)
{
	static const char letters[] = "abtnvfr"; /* \a is 7, and so on */

	if (c == '"' || c == '\\')
		rb_buf_addf(b, "\\%c", (int)c);
	else if (rb_rune_is_printable(c))
		rb_buf_add(b, s, n);
	else if (c >= 7 && c < 7 + sizeof(letters) - 1)
		rb_buf_addf(b, "\\%c", letters[c - 7]);
	else if (c < ' ' || c == 0x7f || c >= RB_RUNE_BYTE)
		rb_buf_addf(b, "\\x%02x", c & 0xff);
	else
		rb_buf_addf(b, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

void rb_dockerfile_add_quoted(struct rb_buf *b, const char *s)
{
	size_t len = strlen(s);

	rb_buf_addch(b, '"');
	while (len) {
		uint32_t c;
		size_t n = rb_rune_decode(s, len, &c);

		add_quoted_rune(b, c, s, n);
		s += n;
		len -= n;
	}
	rb_buf_addch(b, '"');
}

/* ---- Sources ---- */

/* user@host:path */
static bool is_scp_like(const char *s)
{
	size_t user = 0, host = 0;

	while (rb_ascii_isalnum(s[user]) || s[user] == '-' || s[user] == '_')
		user++;
	if (user == 0 || s[user] != '@')
		return false;
	s += user + 1;
	while (rb_ascii_isalnum(s[host]) || s[host] == '-' || s[host] == '.')
		host++;
	return host > 0 && s[host] == ':';
}

enum rb_source_kind rb_dockerfile_source_kind(const char *source)
{
	if (rb_starts_with(source, "ssh://") || rb_starts_with(source, "git://") ||
	    is_scp_like(source))
		return RB_SOURCE_GIT;
	if (!rb_starts_with(source, "http://") && !rb_starts_with(source, "https://"))
		return RB_SOURCE_PATH;
	size_t path = strcspn(source, "?#");
	if (path > 4 && memcmp(source + path - 4, ".git", 4) == 0)
		return RB_SOURCE_GIT;
	return RB_SOURCE_URL;
}

int rb_dockerfile_check_copy_source(const char *source, struct rb_error **err)
{
	enum rb_source_kind kind = rb_dockerfile_source_kind(source);

	if (kind == RB_SOURCE_PATH)
		return 0;
	return rb_fail(err, RB_ERR_DOCKERFILE, "source can't be a %s for COPY: ADD takes one",
		       kind == RB_SOURCE_GIT ? "git ref" : "URL");
}
