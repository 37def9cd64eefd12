/* SPDX-License-Identifier: MIT */
/*
 * ptxrun - runs one kernel of a PTX file (or fat binary) on either tier, without a daemon.
 *
 * Here: arguments of the kernel from the command line, one launch or several, what came out. Not
 * here: how anything is executed. See usage() for the words.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cuse_dev/backend/soft/image/image.h"
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/llvm/llvm.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"
#include "cuse_dev/base/console.h"

#define WINDOW_BYTES  (1ull << 36)
#define HEAP_BYTES    (8ull << 20)
#define CONSOLE_BYTES (1u << 20)
#define PLACE_ALIGN   512u
#define ARGS_MAX      256

/* exit codes */
enum { RAN, FAULTED, USAGE, REFUSED };

/* How the elements of a buffer are read and written. */
enum form { F_S, F_U, F_X, F_F };
struct elem {
	const char *name;
	uint32_t bytes;
	enum form form;
};
static const struct elem elems[] = {
	{ "s8", 1, F_S },  { "u8", 1, F_U },  { "b8", 1, F_X },	 { "s16", 2, F_S },
	{ "u16", 2, F_U }, { "b16", 2, F_X }, { "s32", 4, F_S }, { "u32", 4, F_U },
	{ "b32", 4, F_X }, { "f32", 4, F_F }, { "s64", 8, F_S }, { "u64", 8, F_U },
	{ "b64", 8, F_X }, { "f64", 8, F_F },
};

struct buffer {
	uint32_t arg;
	const struct elem *elem;
	uint64_t count;
	uint8_t *at;
};

struct run {
	const char *file, *kernel, *print, *out[ARGS_MAX];
	bool compiled, perf_map;
	uint32_t grid[3], block[3], cluster[3], shared, threads, show, cc;
	unsigned long repeat;
	/* device memory: handed out from the start of the window */
	uint8_t *window;
	uint64_t used;
	uint8_t *params;
	struct buffer buffers[ARGS_MAX];
	uint32_t nbuffers;
};

static int usage(FILE *to)
{
	fputs("Usage: ptxrun [OPTIONS] FILE KERNEL [ARGUMENT...]\n"
	      "\n"
	      "Runs a kernel of a PTX file on this CPU and prints its buffers.\n"
	      "\n"
	      "Arguments, one for each parameter\n"
	      "  NUMBER                     in the type that the parameter is declared with\n"
	      "  buf:TYPE:COUNT[=INIT]      memory of COUNT elements; the parameter is its "
	      "address\n"
	      "      TYPE                   s8 u8 b8 s16 u16 b16 s32 u32 b32 f32 s64 u64 b64 f64\n"
	      "      INIT                   a number for all, iota (0, 1, 2 ...), @FILE (raw)\n"
	      "\n"
	      "Options\n"
	      "  --tier=interpreter|compiled  which one (interpreter)\n"
	      "  --grid=X[,Y[,Z]]           blocks (1)\n"
	      "  --block=X[,Y[,Z]]          threads of a block (32)\n"
	      "  --cluster=X[,Y[,Z]]        blocks of a cluster\n"
	      "  --shared=BYTES             dynamic shared memory (0)\n"
	      "  --threads=N                CPU threads (number of CPUs)\n"
	      "  --repeat=N                 launch N times, say how long the fastest took\n"
	      "  --show=N                   elements of each buffer to print (16)\n"
	      "  --out=N:FILE               write the buffer of argument N (from 1) to a file, "
	      "raw\n"
	      "  --cc=NN                    compute capability that %%-registers show (90)\n"
	      "  --print=STAGE,...          ptx, ir, llvm, opt, asm to stderr (default: "
	      "$VGPU_PRINT)\n"
	      "  --perf-map                 name the compiled kernel for perf(1): "
	      "/tmp/perf-PID.map\n"
	      "  --help                     this text\n"
	      "\n"
	      "Exit status: 0 it ran, 1 the kernel faulted, 2 usage, 3 the kernel was refused.\n",
	      to);
	return to == stdout ? RAN : USAGE;
}

/* ---- reading words --------------------------------------------------------------------------- */

static bool number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	return text[0] && !*end && !errno && text[0] != '-' && *ret <= max;
}

static bool dims(const char *text, uint32_t d[3])
{
	uint64_t v;
	char copy[64], *save = NULL, *word;
	int n = 0;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	d[1] = d[2] = 1;
	for (word = strtok_r(copy, ",x", &save); word; word = strtok_r(NULL, ",x", &save)) {
		if (n == 3 || !number(word, UINT32_MAX, &v) || !v)
			return false;
		d[n++] = (uint32_t)v;
	}
	return n > 0;
}

/* One value into @at; false when the text is none. */
static bool put(const char *text, enum form form, uint32_t bytes, void *at)
{
	char *end;
	uint64_t v;
	float f;
	double d;

	errno = 0;
	if (form == F_F) {
		d = strtod(text, &end);
		f = (float)d;
		memcpy(at, bytes == 4 ? (void *)&f : (void *)&d, bytes);
		return text[0] && !*end;
	}
	v = text[0] == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
	memcpy(at, &v, bytes);
	return text[0] && !*end && !errno;
}

static uint8_t *take(struct run *r, uint64_t bytes)
{
	uint8_t *p = r->window + r->used;

	if (bytes > WINDOW_BYTES - HEAP_BYTES - r->used)
		return NULL;
	r->used += (bytes + PLACE_ALIGN - 1) / PLACE_ALIGN * PLACE_ALIGN;
	return p;
}

static int fill(struct buffer *b, const char *init)
{
	uint32_t bytes = b->elem->bytes;
	char text[32];
	FILE *f;

	if (init[0] == '@') {
		f = fopen(init + 1, "rb");
		if (!f)
			return -errno;
		if (fread(b->at, 1, b->count * bytes, f) < b->count * bytes && ferror(f)) {
			fclose(f);
			return -EIO;
		}
		fclose(f);
		return 0;
	}
	for (uint64_t i = 0; i < b->count; i++) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)i);
		if (!put(strcmp(init, "iota") ? init : text, b->elem->form, bytes,
			 b->at + i * bytes))
			return -EINVAL;
	}
	return 0;
}

/* buf:TYPE:COUNT[=INIT] */
static int make_buffer(struct run *r, uint32_t arg, const char *word)
{
	struct buffer *b = &r->buffers[r->nbuffers];
	const char *type = word + 4, *colon = strchr(type, ':'), *init;
	char count[24];
	size_t n;

	if (!colon)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(elems) / sizeof(elems[0]); i++)
		if (strlen(elems[i].name) == (size_t)(colon - type) &&
		    !memcmp(elems[i].name, type, (size_t)(colon - type)))
			b->elem = &elems[i];
	init = strchr(colon + 1, '=');
	n = init ? (size_t)(init - colon - 1) : strlen(colon + 1);
	if (!b->elem || n >= sizeof(count))
		return -EINVAL;
	memcpy(count, colon + 1, n);
	count[n] = 0;
	if (!number(count, WINDOW_BYTES / b->elem->bytes, &b->count))
		return -EINVAL;
	b->arg = arg;
	b->at = take(r, b->count * b->elem->bytes);
	if (!b->at)
		return -ENOMEM;
	r->nbuffers++;
	return init ? fill(b, init + 1) : 0;
}

static int set_argument(struct run *r, const struct ptx_param *p, uint32_t i, const char *word)
{
	uint64_t va;
	int e;

	if (!strncmp(word, "buf:", 4)) {
		if (p->size != 8)
			return -EINVAL;
		e = make_buffer(r, i, word);
		if (e < 0)
			return e;
		va = (uint64_t)(uintptr_t)r->buffers[r->nbuffers - 1].at;
		memcpy(r->params + p->offset, &va, sizeof(va));
		return 0;
	}
	if (p->size > 8)
		return -EINVAL;
	return put(word, p->type == IR_F32 || p->type == IR_F64 ? F_F : F_S, p->size,
		   r->params + p->offset)
		       ? 0
		       : -EINVAL;
}

static int set_arguments(struct run *r, const struct ptx_func *f, int argc, char **argv)
{
	const struct ptx_proto *p = &f->proto;

	if ((uint32_t)argc != p->nparams) {
		fprintf(stderr, "ptxrun: %s has %u parameters, %d arguments were given\n", f->name,
			p->nparams, argc);
		return -EINVAL;
	}
	r->params = calloc(1, (size_t)p->param_bytes + 8);
	if (!r->params)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->nparams; i++) {
		int e = set_argument(r, &p->params[i], i, argv[i]);

		if (e < 0) {
			fprintf(stderr, "ptxrun: argument %u, '%s', for %u bytes: %s\n", i + 1,
				argv[i], p->params[i].size, strerror(-e));
			return e;
		}
	}
	return 0;
}

/* ---- what came out --------------------------------------------------------------------------- */

static void show_element(const struct elem *e, const uint8_t *at)
{
	uint64_t v = 0;
	double d;
	float f;

	memcpy(&v, at, e->bytes);
	memcpy(&f, at, sizeof(f));
	switch (e->form) {
	case F_S:
		v <<= 64 - 8 * e->bytes;
		printf(" %lld", (long long)((int64_t)v >> (64 - 8 * e->bytes)));
		break;
	case F_U:
		printf(" %llu", (unsigned long long)v);
		break;
	case F_X:
		printf(" 0x%0*llx", (int)e->bytes * 2, (unsigned long long)v);
		break;
	case F_F:
		d = f;
		if (e->bytes == 8)
			memcpy(&d, at, sizeof(d));
		printf(" %.*g", e->bytes == 8 ? 17 : 9, d);
		break;
	}
}

static int write_out(const struct run *r)
{
	for (uint32_t i = 0; i < r->nbuffers; i++) {
		const struct buffer *b = &r->buffers[i];
		const char *path = r->out[b->arg];
		uint64_t bytes = b->count * b->elem->bytes;
		FILE *f;

		printf("%u:", b->arg + 1);
		for (uint64_t k = 0; k < b->count && k < r->show; k++)
			show_element(b->elem, b->at + k * b->elem->bytes);
		puts(b->count > r->show ? " ..." : "");
		if (!path)
			continue;
		f = fopen(path, "wb");
		if (!f || fwrite(b->at, 1, bytes, f) != bytes || fclose(f)) {
			fprintf(stderr, "ptxrun: %s: %s\n", path, strerror(errno));
			return USAGE;
		}
	}
	return RAN;
}

static void drain(struct backend_console *c)
{
	char text[4096];
	int stream;
	size_t n;

	while ((n = console_read(c, text, sizeof(text), &stream)))
		fwrite(text, 1, n, stream == 2 ? stderr : stdout);
}

/* ---- the stages ------------------------------------------------------------------------------ */

static char *read_file(const char *path, size_t *ret_bytes)
{
	FILE *f = fopen(path, "rb");
	char *p = NULL;
	long n = 0;

	if (f && !fseek(f, 0, SEEK_END) && (n = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET))
		p = calloc(1, (size_t)n + 64);
	if (p && fread(p, 1, (size_t)n, f) != (size_t)n) {
		free(p);
		p = NULL;
	}
	*ret_bytes = (size_t)n;
	if (!p)
		fprintf(stderr, "ptxrun: %s: %s\n", path, strerror(errno));
	if (f)
		fclose(f);
	return p;
}

static bool prints(const struct run *r, const char *stage)
{
	const char *p = r->print;
	size_t n = strlen(stage);

	while (p && (p = strstr(p, stage))) {
		if ((p == r->print || p[-1] == ',') && (!p[n] || p[n] == ','))
			return true;
		p += n;
	}
	return false;
}

static int load(struct run *r, struct ptx_module **ret_module)
{
	struct backend_log log = { .bytes = 0 };
	struct image_text text;
	struct ptx_error err;
	size_t bytes;
	char *p = read_file(r->file, &bytes);

	if (!p)
		return USAGE;
	if (image_pick(p, bytes, r->cc, true, &text, &log)) {
		fprintf(stderr, "%s: %s", r->file, log.text);
		free(p);
		return REFUSED;
	}
	free(p);
	if (prints(r, "ptx"))
		fwrite(text.text, 1, text.bytes, stderr);
	if (ptx_module_load(text.text, text.bytes, ret_module, &err)) {
		fprintf(stderr, "%s:%u:%u: %s\n", r->file, err.line, err.column, err.text);
		return REFUSED;
	}
	return RAN;
}

static const struct ptx_func *find(const struct run *r, const struct ptx_module *m)
{
	const struct ptx_func *f = ptx_module_kernel(m, r->kernel);

	if (f)
		return f;
	fprintf(stderr, "ptxrun: no kernel '%s' in %s; there are:\n", r->kernel, r->file);
	for (size_t i = 0; i < m->nfuncs; i++)
		if (m->funcs[i]->is_entry && m->funcs[i]->defined)
			fprintf(stderr, "  %s\n", m->funcs[i]->name);
	return NULL;
}

#ifdef VGPU_HAVE_LLVM
/* As perf's "jit interface" has it: START SIZE name, in hexadecimal. The file is perf's to read later. */
static void write_perf_map(const struct run *r, const struct simt_code *code)
{
	const void *at;
	size_t bytes;
	char path[64];
	FILE *f;

	llvm_code_place(code, &at, &bytes);
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	f = fopen(path, "wx");
	if (!f) {
		fprintf(stderr, "ptxrun: %s: %s\n", path, strerror(errno));
		return;
	}
	fprintf(f, "%llx %zx %s\n", (unsigned long long)(uintptr_t)at, bytes, r->kernel);
	fclose(f);
}
#endif

/* Replaces the interpreter's code. */
static int compile(const struct run *r, const struct ir_unit *u, struct simt_code **code)
{
#ifdef VGPU_HAVE_LLVM
	struct llvm_options opt = { .level = LLVM_GOOD, .print = llvm_print_flags(r->print) };
	struct simt_code *better;
	char err[256] = "";
	void *object;
	size_t bytes;
	int e;

	memcpy(opt.block, r->block, sizeof(opt.block));
	e = llvm_compile(u, &opt, &object, &bytes, err, sizeof(err));
	if (e == 0) {
		e = llvm_load(object, bytes, *code, u->base_va, &better, err, sizeof(err));
		free(object);
	}
	if (e < 0) {
		fprintf(stderr, "ptxrun: not compiled: %s\n", err[0] ? err : strerror(-e));
		return REFUSED;
	}
	simt_code_destroy(*code);
	*code = better;
	if (r->perf_map)
		write_perf_map(r, better);
	return RAN;
#else
	fprintf(stderr, "ptxrun: built without LLVM\n");
	return REFUSED;
#endif
}

static int make_code(struct run *r, struct ptx_module *m, const struct ptx_func *f,
		     struct simt_code **ret_code)
{
	struct ptx_place place = { (uintptr_t)take(r, m->global_bytes + 1),
				   (uintptr_t)take(r, m->managed_bytes + 1) };
	struct ptx_unit_info info;
	struct ir_unit *u = NULL;
	struct ptx_error err = { 0 };
	char text[256] = "";
	int e;

	if (ptx_module_init_data(m, &place, true, &err) ||
	    ptx_unit_create(m, (struct ptx_func *)(uintptr_t)f, &place, &u, &info, &err)) {
		fprintf(stderr, "%s:%u:%u: %s\n", r->file, err.line, err.column, err.text);
		ptx_unit_destroy(u);
		return REFUSED;
	}
	if (prints(r, "ir") && !r->compiled) {
		char *ir = ir_print(u);

		fputs(ir ? ir : "", stderr);
		free(ir);
	}
	e = interp_prepare(u, ret_code, text, sizeof(text));
	if (e < 0)
		fprintf(stderr, "ptxrun: %s\n", text);
	e = e < 0 ? REFUSED : r->compiled ? compile(r, u, ret_code) : RAN;
	ptx_unit_destroy(u);
	return e;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int launch(struct run *r, struct simt_device *d, const struct ptx_func *f,
		  const struct simt_code *code, struct backend_console *console)
{
	struct backend_launch l = { .dynamic_shared = r->shared,
				    .params = r->params,
				    .param_bytes = f->proto.param_bytes,
				    .console = console,
				    .heap_va = (uintptr_t)r->window + WINDOW_BYTES - HEAP_BYTES,
				    .heap_bytes = HEAP_BYTES,
				    .stack_bytes = 65536 };
	struct backend_fault fault = { 0 };
	double best = 1e30, t;

	memcpy(l.grid, r->grid, sizeof(l.grid));
	memcpy(l.block, r->block, sizeof(l.block));
	memcpy(l.cluster, r->cluster, sizeof(l.cluster));
	for (unsigned long i = 0; i < r->repeat && !fault.error; i++) {
		t = now();
		simt_launch(d, code, r->kernel, &l, &fault);
		t = now() - t;
		best = t < best ? t : best;
		drain(console);
	}
	if (fault.error) {
		fprintf(stderr,
			"%s: error %u in block (%u, %u, %u), thread (%u, %u, %u), line %u: %s\n",
			r->kernel, fault.error, fault.ctaid[0], fault.ctaid[1], fault.ctaid[2],
			fault.tid[0], fault.tid[1], fault.tid[2], fault.line, fault.what);
		return FAULTED;
	}
	if (r->repeat > 1)
		printf("fastest of %lu: %.3f ms\n", r->repeat, best * 1e3);
	return write_out(r);
}

static int execute(struct run *r, int argc, char **argv)
{
	struct backend_device dev = { .cc = r->cc,
				      .sm_count = 1,
				      .warp_size = 32,
				      .max_threads_per_block = 1024,
				      .max_shared_per_block = 49152,
				      .max_shared_per_block_optin = 232448,
				      .reserved_shared_per_block = 1024,
				      .clock_khz = 1000000,
				      .window_size = WINDOW_BYTES,
				      .threads = r->threads };
	struct backend_console *console = NULL;
	struct simt_device *d = NULL;
	struct simt_code *code = NULL;
	struct ptx_module *m = NULL;
	const struct ptx_func *f;
	int rc = load(r, &m);

	if (rc != RAN)
		return rc;
	r->window = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	f = find(r, m);
	rc = r->window != MAP_FAILED && f && set_arguments(r, f, argc, argv) == 0 ? RAN : USAGE;
	if (rc == RAN)
		rc = make_code(r, m, f, &code);
	dev.window_base = (uintptr_t)r->window;
	if (rc == RAN &&
	    (simt_device_create(&dev, &d) < 0 || console_create(CONSOLE_BYTES, &console))) {
		fprintf(stderr, "ptxrun: out of memory\n");
		rc = REFUSED;
	}
	if (rc == RAN)
		rc = launch(r, d, f, code, console);
	console_destroy(console);
	simt_code_destroy(code);
	if (d)
		simt_device_destroy(d);
	ptx_module_unload(m);
	free(r->params);
	return rc;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool set_out(struct run *r, const char *text)
{
	const char *colon = strchr(text, ':');
	unsigned long n = strtoul(text, NULL, 10);

	if (!colon || n < 1 || n > ARGS_MAX)
		return false;
	r->out[n - 1] = colon + 1;
	return true;
}

static bool set_small(const char *text, uint64_t max, uint32_t *ret)
{
	uint64_t v;

	if (!number(text, max, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool set_option(struct run *r, int c, const char *text)
{
	uint32_t n;

	switch (c) {
	case 't':
		r->compiled = !strcmp(text, "compiled");
		return r->compiled || !strcmp(text, "interpreter");
	case 'g':
		return dims(text, r->grid);
	case 'b':
		return dims(text, r->block) &&
		       (uint64_t)r->block[0] * r->block[1] * r->block[2] <= 1024;
	case 'c':
		return dims(text, r->cluster);
	case 's':
		return set_small(text, 232448, &r->shared);
	case 'n':
		return set_small(text, 1024, &r->threads) && r->threads;
	case 'r':
		n = 0;
		if (!set_small(text, 1000000, &n) || !n)
			return false;
		r->repeat = n;
		return true;
	case 'S':
		return set_small(text, UINT32_MAX, &r->show);
	case 'C':
		return set_small(text, 999, &r->cc) && r->cc >= 10;
	case 'o':
		return set_out(r, text);
	case 'P':
		r->perf_map = true;
		return true;
	default:
		r->print = text;
		return true;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tier", required_argument, NULL, 't' },
		{ "grid", required_argument, NULL, 'g' },
		{ "block", required_argument, NULL, 'b' },
		{ "cluster", required_argument, NULL, 'c' },
		{ "shared", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 'n' },
		{ "repeat", required_argument, NULL, 'r' },
		{ "show", required_argument, NULL, 'S' },
		{ "out", required_argument, NULL, 'o' },
		{ "cc", required_argument, NULL, 'C' },
		{ "print", required_argument, NULL, 'p' },
		{ "perf-map", no_argument, NULL, 'P' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct run r = {
		.grid = { 1, 1, 1 }, .block = { 32, 1, 1 }, .show = 16, .repeat = 1, .cc = 90
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int c, at = 0;

	r.threads = cpus > 0 ? (uint32_t)cpus : 1;
	r.print = getenv("VGPU_PRINT");
	while ((c = getopt_long(argc, argv, "+", options, &at)) >= 0) {
		if (c == 'h')
			return usage(stdout);
		if (c == '?')
			return USAGE;
		if (!set_option(&r, c, optarg)) {
			fprintf(stderr, "ptxrun: --%s=%s: not a value that it takes; see --help\n",
				options[at].name, optarg);
			return USAGE;
		}
	}
	if (argc - optind < 2)
		return usage(stderr);
	r.file = argv[optind];
	r.kernel = argv[optind + 1];
	return execute(&r, argc - optind - 2, argv + optind + 2);
}
