/* SPDX-License-Identifier: MIT */
/*
 * window.c - the addresses that device pointers are made of.
 *
 * They are reserved here without access, so that nothing of the program ever lies at a device
 * address and a stray host access faults. The reservation is one mapping and costs no memory.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "libcuda/link/internal.h"

#define WINDOW_BYTES (1ull << 40)
#define WINDOW_LEAST (1ull << 32)
#define WINDOW_LOW   0x1000000000ull /* and 256 GiB, where processes end at 512 GiB */

/*
 * In a program with the thread sanitizer addresses are asked for through it, and it ends the
 * program when they are not among those that it leaves. The low ones are.
 */
void __tsan_init(void) __attribute__((weak));

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static bool reserve(uint64_t base, uint64_t size)
{
	void *want = (void *)(uintptr_t)base;
	void *p;

	if (__tsan_init && (base != WINDOW_LOW || size > WINDOW_BYTES / 4))
		return false;
	p = mmap(want, size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == MAP_FAILED)
		return false;
	if (p != want) {
		/* A kernel before 4.17 takes the address as a hint. */
		munmap(p, size);
		return false;
	}
	/* Core dumps need not walk it. */
	madvise(p, size, MADV_DONTDUMP);
	return true;
}

void link_window_reserve(struct link *l)
{
	/* Far from where the kernel puts programs, libraries, heap and stack. */
	static const uint64_t bases[] = {
		0x700000000000ull, 0x600000000000ull, 0x500000000000ull, 0x400000000000ull,
		0x300000000000ull, 0x200000000000ull, 0x7e0000000000ull, WINDOW_LOW,
	};
	struct rlimit as;
	uint64_t size = WINDOW_BYTES;

	/* Leave the program at least half of what it may map. */
	if (!getrlimit(RLIMIT_AS, &as) && as.rlim_cur != RLIM_INFINITY)
		while (size >= WINDOW_LEAST && size > as.rlim_cur / 4)
			size /= 2;

	l->window_base = 0;
	l->window_size = WINDOW_BYTES;
	l->window_reserved = false;
	for (; size >= WINDOW_LEAST; size /= 4) {
		for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
			if (!reserve(bases[i], size))
				continue;
			l->window_base = bases[i];
			l->window_size = size;
			l->window_reserved = true;
			return;
		}
	}
}

void link_window_adopt(struct link *l, uint64_t base, uint64_t size)
{
	link_window_release(l);
	l->window_base = base;
	l->window_size = size;
	l->window_reserved = base && reserve(base, size);
}

void link_window_release(struct link *l)
{
	if (l->window_reserved)
		munmap((void *)(uintptr_t)l->window_base, l->window_size);
	l->window_reserved = false;
}

bool link_in_window(const struct link *l, uint64_t va)
{
	return l->window_base && va >= l->window_base && va - l->window_base < l->window_size;
}
