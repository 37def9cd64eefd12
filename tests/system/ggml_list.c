/* SPDX-License-Identifier: MIT */
/*
 * ggml_list.c - what a runner of llama.cpp does at start: load the CUDA backend, list its devices.
 *
 * Prototypes are those of ggml's public headers (ggml-backend.h), as far as used.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

static void *open_library(const char *name)
{
	void *lib = dlopen(name, RTLD_NOW | RTLD_GLOBAL);

	if (!lib)
		fprintf(stderr, "%s\n", dlerror());
	return lib;
}

int main(void)
{
	void *base, *cuda, *reg, *dev;
	void *(*cuda_reg)(void), *(*dev_get)(void *, size_t);
	size_t (*dev_count)(void *), n, i, free_bytes, total;
	const char *(*dev_name)(void *), *(*dev_description)(void *);
	void (*dev_memory)(void *, size_t *, size_t *);

	base = open_library("libggml-base.so");
	cuda = open_library("libggml-cuda.so");
	if (!base || !cuda)
		return 2;
	*(void **)&cuda_reg = dlsym(cuda, "ggml_backend_cuda_reg");
	*(void **)&dev_count = dlsym(base, "ggml_backend_reg_dev_count");
	*(void **)&dev_get = dlsym(base, "ggml_backend_reg_dev_get");
	*(void **)&dev_name = dlsym(base, "ggml_backend_dev_name");
	*(void **)&dev_description = dlsym(base, "ggml_backend_dev_description");
	*(void **)&dev_memory = dlsym(base, "ggml_backend_dev_memory");
	if (!cuda_reg || !dev_count || !dev_get || !dev_name || !dev_description || !dev_memory)
		return 2;
	reg = cuda_reg();
	n = reg ? dev_count(reg) : 0;
	printf("devices=%zu\n", n);
	for (i = 0; i < n; i++) {
		dev = dev_get(reg, i);
		dev_memory(dev, &free_bytes, &total);
		printf("name=%s\ndescription=%s\nfree=%zu\ntotal=%zu\n", dev_name(dev),
		       dev_description(dev), free_bytes, total);
	}
	return n > 0 ? 0 : 1;
}
