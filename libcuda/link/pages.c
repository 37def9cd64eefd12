/* SPDX-License-Identifier: MIT */
/*
 * pages.c - pages of this process that the worker is to see, too.
 *
 * Pinned memory: the HOST arena mapped at its address. Registered memory: the program's own pages,
 * replaced in place by shared ones of the same content. Replacing is only possible where nobody
 * else can tell the difference: private anonymous memory that can be read and written.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcuda/link/internal.h"

#define PAGE 4096ull

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

int link_pages_memfd(const char *name, uint64_t size, int *ret_fd)
{
	int fd, r;

	/* The flag is newer than kernels we meet; a shared page never needs to be executable. */
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	fd = link_fd_up(fd);
	if (ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int link_pages_map_host(struct link *l, uint64_t va, uint64_t size, uint64_t arena_off)
{
	void *p;

	if (l->host_fd < 0)
		return -ENOTSUP;
	if (!l->window_reserved || !link_in_window(l, va) || !link_in_window(l, va + size - 1) ||
	    (va | size | arena_off) & (PAGE - 1))
		return -EINVAL;
	p = mmap((void *)(uintptr_t)va, size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED | MAP_NORESERVE, l->host_fd, (off_t)arena_off);
	return p == MAP_FAILED ? -errno : 0;
}

void link_pages_unmap(struct link *l, uint64_t va, uint64_t size)
{
	if (!link_in_window(l, va) || !link_in_window(l, va + size - 1))
		return;
	mmap((void *)(uintptr_t)va, size, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

/* 0 when all of [va, +size) is private, anonymous, rw, and no stack; -EINVAL: not even memory. */
static int replaceable(uint64_t va, uint64_t size)
{
	uint64_t at = va;
	char line[512];
	FILE *f = fopen("/proc/self/maps", "re");
	int r = -EINVAL;

	if (!f)
		return -ENOTSUP;
	while (at < va + size && fgets(line, sizeof(line), f)) {
		unsigned long long lo, hi, off, inode;
		char perms[8] = "", dev[16] = "", name[256] = "";
		int n = sscanf(line, "%llx-%llx %7s %llx %15s %llu %255[^\n]", &lo, &hi, perms,
			       &off, dev, &inode, name);

		if (n < 6 || hi <= at)
			continue;
		if (lo > at || perms[0] != 'r')
			break;
		if (perms[1] != 'w' || perms[3] != 'p' || inode || strstr(name, "[stack") ||
		    strstr(name, "[v")) {
			r = -ENOTSUP;
			break;
		}
		at = hi;
	}
	fclose(f);
	return at >= va + size ? 0 : r;
}

/*
 * Whole pages, with whatever else of the program lies on them: what a sanitizer knows of bytes that
 * must not be read does not hold here, so this is not memcpy.
 */
static void copy_pages(void *to, uint64_t from, uint64_t bytes)
{
#if defined(__x86_64__)
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
	memcpy(to, (void *)(uintptr_t)from, bytes);
#endif
}

/* Copies the pages that exist; the rest reads as zero on both sides. */
static void copy_present(void *to, uint64_t va, uint64_t size)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry[256];

	for (uint64_t done = 0; done < size;) {
		uint64_t pages = (size - done) / PAGE;
		ssize_t n = -1;

		if (pages > 256)
			pages = 256;
		if (fd >= 0)
			n = pread(fd, entry, pages * 8, (off_t)((va + done) / PAGE * 8));
		for (uint64_t i = 0; i < pages; i++, done += PAGE) {
			/* Bit 63: in memory; bit 62: swapped out. */
			if (n == (ssize_t)(pages * 8) && !(entry[i] >> 62))
				continue;
			copy_pages((char *)to + done, va + done, PAGE);
		}
	}
	if (fd >= 0)
		close(fd);
}

static int move_over(void *from, uint64_t va, uint64_t size)
{
	void *p = mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(uintptr_t)va);

	return p == MAP_FAILED ? -errno : 0;
}

int link_pages_share(uint64_t va, uint64_t size, int *ret_fd)
{
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	void *map;
	int fd, r;

	if (!size || (va | size) & (PAGE - 1) || va + size < va)
		return -EINVAL;
	/* The stack under our own feet changes while it is copied. */
	if (here >= va && here < va + size)
		return -ENOTSUP;
	r = replaceable(va, size);
	if (r < 0)
		return r;

	r = link_pages_memfd("vgpu-registered", size, &fd);
	if (r < 0)
		return r;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED) {
		r = -errno;
		goto close_fd;
	}
	copy_present(map, va, size);
	r = move_over(map, va, size);
	if (r < 0)
		goto unmap;
	*ret_fd = fd;
	return 0;

unmap:
	munmap(map, size);
close_fd:
	close(fd);
	return r;
}

int link_pages_private(uint64_t va, uint64_t size)
{
	void *map;
	int r;

	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	copy_pages(map, va, size);
	r = move_over(map, va, size);
	if (r < 0)
		munmap(map, size);
	return r;
}
