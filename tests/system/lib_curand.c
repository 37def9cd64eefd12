/* SPDX-License-Identifier: MIT */
/*
 * lib_curand.c - generators of cuRAND against the same generators on the host, which the library has
 * as well: both must give the same numbers; see lib_probe.h.
 */
#include "lib_probe.h"

enum { XORWOW = 101, MRG32K3A = 121, MTGP32 = 141, PHILOX = 161, SOBOL32 = 201 };

#define COUNT 20000

static uint32_t got[COUNT], want[COUNT];

static int make(int on_host, int type, void **ret_generator)
{
	const char *create = on_host ? "curandCreateGeneratorHost" : "curandCreateGenerator";
	int r = LIB(int, create, (void **, int))(ret_generator, type);

	if (!r && type < SOBOL32)
		r = LIB(int, "curandSetPseudoRandomGeneratorSeed",
			(void *, unsigned long long))(*ret_generator, 1234ull);
	return r;
}

typedef int (*draw_fn)(void *generator, void *to);

static int draw_bits(void *g, void *to)
{
	return LIB(int, "curandGenerate", (void *, void *, size_t))(g, to, COUNT);
}

static int draw_uniform(void *g, void *to)
{
	return LIB(int, "curandGenerateUniform", (void *, void *, size_t))(g, to, COUNT);
}

static int draw_normal(void *g, void *to)
{
	return LIB(int, "curandGenerateNormal",
		   (void *, void *, size_t, float, float))(g, to, COUNT, 1.0f, 2.0f);
}

static int draw_poisson(void *g, void *to)
{
	return LIB(int, "curandGeneratePoisson", (void *, void *, size_t, double))(g, to, COUNT,
										   10.0);
}

/* Integers and uniform numbers are the same to the bit; @as_float: within rounding. */
static void compare(const char *name, int as_float)
{
	double worst = 0;
	float a, b;

	for (int i = 0; i < COUNT; i++) {
		memcpy(&a, &got[i], 4);
		memcpy(&b, &want[i], 4);
		worst = fmax(worst, as_float ? fabs(a - b) : got[i] != want[i]);
	}
	probe_report(name, worst, as_float ? 1e-4 : 0);
}

static void generator(const char *name, int type, draw_fn draw, int as_float)
{
	void *device, *host, *d = probe_up(NULL, sizeof(got));
	int r = make(0, type, &device);

	if (!r)
		r = draw(device, d);
	if (probe_status(name, r)) {
		probe_down(got, d, sizeof(got));
		r = make(1, type, &host);
		if (!r)
			r = draw(host, want);
		if (r)
			printf("failed %s %d (host)\n", name, r);
		else
			compare(name, as_float);
		LIB(int, "curandDestroyGenerator", (void *))(device);
	}
	probe_free(d);
}

int main(int argc, char **argv)
{
	probe_start(argc, argv);
	generator("philox", PHILOX, draw_bits, 0);
	generator("philox_uniform", PHILOX, draw_uniform, 1);
	generator("philox_normal", PHILOX, draw_normal, 1);
	generator("xorwow", XORWOW, draw_bits, 0);
	generator("xorwow_uniform", XORWOW, draw_uniform, 1);
	generator("xorwow_normal", XORWOW, draw_normal, 1);
	generator("xorwow_poisson", XORWOW, draw_poisson, 0);
	generator("mrg32k3a", MRG32K3A, draw_uniform, 1);
	generator("mtgp32", MTGP32, draw_bits, 0);
	generator("sobol32", SOBOL32, draw_bits, 0);
	return probe_end();
}
