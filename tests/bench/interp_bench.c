/* SPDX-License-Identifier: MIT */
/*
 * interp_bench.c - the interpreter alone: lane operations per second and core, the cost of an empty
 * launch. Prints one line per measurement; nothing is judged here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/base/arena.h"

#define WINDOW 0x700000000000ull
#define BYTES  (64u << 20)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct simt_code *prepare(const char *text)
{
	struct base_arena *a = arena_create(0);
	struct simt_code *code = NULL;
	struct ir_unit *unit;
	char err[256] = "";

	if (ir_read(text, a, &unit, err, sizeof(err)) < 0 ||
	    interp_prepare(unit, &code, err, sizeof(err)) < 0) {
		fprintf(stderr, "%s\n%s\n", err, text);
		exit(1);
	}
	arena_destroy(a);
	return code;
}

static double run(struct simt_device *d, const char *text, struct backend_launch *l, uint32_t times)
{
	struct simt_code *code = prepare(text);
	struct backend_fault fault;
	double best = 1e9;

	for (int k = 0; k < 5; k++) {
		double t = now();

		for (uint32_t i = 0; i < times; i++) {
			if (simt_launch(d, code, "bench", l, &fault)) {
				fprintf(stderr, "%s\n", fault.what);
				exit(1);
			}
		}
		t = now() - t;
		best = t < best ? t : best;
	}
	simt_code_destroy(code);
	return best / times;
}

/* @turns times round a loop of @n copies of @line. */
static char *loop(const char *regs, const char *line, int n, int turns)
{
	char *text = malloc(1 << 16);
	int at = sprintf(text,
			 "unit params=24 depth=1 func \"k\" regs %s block ld u64 u64 space=param "
			 "%%6 = 0 sreg u32 sub=%%tid.x %%0 = mad.wide u32 %%6 = %%0, 4, %%6 "
			 "mov u32 %%0 = 0 jump 1 block\n",
			 regs);

	for (int i = 0; i < n; i++)
		at += sprintf(text + at, "%s\n", line);
	sprintf(text + at,
		"add u32 %%0 = %%0, 1 setp u32 cmp=lt %%5, _ = %%0, %d, _ br %%5 1 2 "
		"block st u32 space=global %%6, %%1 exit",
		turns);
	return text;
}

int main(void)
{
	static const char regs[] = "u32 u32 u32 u32 u32 pred u64 u64 u64 u64";
	static const struct {
		const char *name, *line;
	} rows[] = {
		{ "fma f32", "fma f32 %4 = %1, %2, %3" },
		{ "fma f32 chain", "fma f32 %1 = %1, %2, %3" },
		{ "add u32", "add u32 %1 = %1, %2" },
		{ "add u32 imm", "add u32 %1 = %1, 7" },
		{ "setp + selp", "setp s32 cmp=lt %5, _ = %1, %2, _ selp u32 %1 = %3, %4, %5" },
		{ "fma f32 guarded", "@%5 fma f32 %1 = %1, %2, %3" },
		{ "ld.global row", "ld u32 u32 space=global %1 = %6" },
		{ "st.global row", "st u32 space=global %6, %1" },
		{ "ld.global gather", "ld u32 u32 space=global %1 = %7" },
		{ "ex2 f32", "ex2 f32 round=approx %1 = %2" },
		{ "div f32", "div f32 %1 = %2, %3" },
		{ "mul f64", "mul f64 %7 = %8, %9" },
	};
	struct backend_device dev = { .cc = 90,
				      .sm_count = 132,
				      .warp_size = 32,
				      .threads = 1,
				      .clock_khz = 1980000,
				      .window_base = WINDOW,
				      .window_size = BYTES };
	uint64_t params[3] = { WINDOW, WINDOW, WINDOW };
	struct backend_launch l = { .grid = { 1, 1, 1 },
				    .block = { 32, 1, 1 },
				    .params = params,
				    .param_bytes = sizeof(params),
				    .stack_bytes = 1024 };
	struct simt_device *d;

	if (mmap((void *)WINDOW, BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ||
	    simt_device_create(&dev, &d) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text, line[256];
		double t;

		snprintf(line, sizeof(line), "%s", rows[i].line);
		text = loop(regs, line, 100, 1000);
		if (strstr(rows[i].name, "gather")) {
			char *with = malloc(1 << 16);
			char *at = strstr(text, "mov u32 %0 = 0");

			sprintf(with,
				"%.*s mul.wide u32 %%7 = %%0, 68 ld u64 u64 space=param %%8 = 0 "
				"add u64 %%7 = %%7, %%8 %s",
				(int)(at - text), text, at);
			free(text);
			text = with;
		}
		t = run(d, text, &l, 1) / 100e3;
		printf("%-20s %6.2f ns per 32 lanes  %6.2f e9 lane operations/s\n", rows[i].name,
		       t * 1e9, 32e-9 / t);
		free(text);
	}
	printf("%-20s %6.2f us\n", "empty launch",
	       1e6 * run(d, "unit params=24 depth=1 func \"k\" regs u32 block exit", &l, 10000));
	l.grid[0] = 1024;
	l.block[0] = 256;
	printf("%-20s %6.2f us\n", "1024 x 256 empty",
	       1e6 * run(d, "unit params=24 depth=1 func \"k\" regs u32 block exit", &l, 10));
	simt_device_destroy(d);
	return 0;
}
