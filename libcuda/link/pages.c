/* SPDX-License-Identifier: MIT */
/*
 * pages.c - pages of this process that the worker is to see, too.
 *
 * Pinned memory: the HOST arena mapped at its address. Registered memory: the program's own pages,
 * replaced in place by shared ones of the same content. Replacing is only possible where nobody
 * else can tell the difference: private memory. Of a shared mapping the file is looked for, which
 * the worker then maps, too.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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

/* What all of a range has in common. */
struct pages {
	bool shared, write, file;
	uint64_t lo, hi, offset; /* of the first mapping; offset belongs to the range's start */
	dev_t dev;
	uint64_t inode;
	char name[256];
};

/* A line of /proc/self/maps. */
static bool parse(const char *line, struct pages *ret_pages, bool *ret_read, bool *ret_special)
{
	unsigned long long lo, hi, off, inode;
	unsigned int major, minor;
	char perms[8] = "";
	struct pages p = { 0 };

	if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %255[^\n]", &lo, &hi, perms, &off, &major,
		   &minor, &inode, p.name) < 7)
		return false;
	p.lo = lo;
	p.hi = hi;
	p.offset = off;
	p.shared = perms[3] == 's';
	p.write = perms[1] == 'w';
	p.file = inode != 0;
	p.dev = makedev(major, minor);
	p.inode = inode;
	*ret_read = perms[0] == 'r';
	/* Code and the kernel's own pages are never replaced, nor is a stack. */
	*ret_special =
		perms[2] == 'x' || !strncmp(p.name, "[stack", 6) || !strncmp(p.name, "[v", 2);
	*ret_pages = p;
	return true;
}

/*
 * 0 when [va, +size) can be read and is of one kind throughout, a shared one of one file without
 * gaps; -ENOTSUP when not; -EINVAL: not even memory.
 */
static int look(uint64_t va, uint64_t size, struct pages *ret_pages)
{
	uint64_t at = va;
	struct pages p, first = { 0 };
	char line[512];
	FILE *f = fopen("/proc/self/maps", "re");
	bool read, special;
	int r = -EINVAL;

	if (!f)
		return -ENOTSUP;
	while (at < va + size && fgets(line, sizeof(line), f)) {
		if (!parse(line, &p, &read, &special) || p.hi <= at)
			continue;
		if (p.lo > at || !read)
			break;
		p.offset += at - p.lo;
		if (at == va)
			first = p;
		if (special || p.shared != first.shared || p.write != first.write ||
		    (p.shared && (p.dev != first.dev || p.inode != first.inode ||
				  p.offset != first.offset + (at - va)))) {
			r = -ENOTSUP;
			break;
		}
		first.file |= p.file;
		at = p.hi;
	}
	fclose(f);
	if (at < va + size)
		return r;
	*ret_pages = first;
	return 0;
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

/* By the kernel, which says so where a file has no such page. */
static int copy_file(int fd, uint64_t va, uint64_t size)
{
	for (uint64_t done = 0; done < size;) {
		ssize_t n =
			pwrite(fd, (const void *)(uintptr_t)(va + done), size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno != EFAULT ? -errno : -EINVAL;
		done += (uint64_t)n;
	}
	return 0;
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

int link_pages_share(uint64_t va, uint64_t size, int *ret_fd, bool *ret_read_only)
{
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	struct pages p;
	void *map;
	int fd, r;

	if (!size || (va | size) & (PAGE - 1) || va + size < va)
		return -EINVAL;
	/* The stack under our own feet changes while it is copied. */
	if (here >= va && here < va + size)
		return -ENOTSUP;
	r = look(va, size, &p);
	if (r < 0)
		return r;
	if (p.shared)
		return -ENOTSUP;

	r = link_pages_memfd("vgpu-registered", size, &fd);
	if (r < 0)
		return r;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED) {
		r = -errno;
		goto close_fd;
	}
	if (p.file)
		r = copy_file(fd, va, size);
	else
		copy_present(map, va, size);
	if (r == 0 && !p.write && mprotect(map, size, PROT_READ) < 0)
		r = -errno;
	if (r == 0)
		r = move_over(map, va, size);
	if (r < 0)
		goto unmap;
	*ret_fd = fd;
	*ret_read_only = !p.write;
	return 0;

unmap:
	munmap(map, size);
close_fd:
	close(fd);
	return r;
}

int link_pages_private(uint64_t va, uint64_t size)
{
	struct pages p;
	void *map;
	int r;

	r = look(va, size, &p);
	if (r < 0)
		return r;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	copy_pages(map, va, size);
	r = !p.write && mprotect(map, size, PROT_READ) < 0 ? -errno : move_over(map, va, size);
	if (r < 0)
		munmap(map, size);
	return r;
}

/* ---- what is shared already ------------------------------------------------------------------ */

static bool is_it(const struct stat *st, const struct pages *p)
{
	return S_ISREG(st->st_mode) && st->st_dev == p->dev && st->st_ino == p->inode;
}

/* By name; what is behind it now need not be what was mapped. */
static int find_by_name(const char *name, const struct pages *p)
{
	struct stat st;
	int fd;

	if (stat(name, &st) < 0 || !is_it(&st, p))
		return -1;
	fd = open(name, (p->write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !is_it(&st, p))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Among the descriptors that the program has open. */
static int find_open(const struct pages *p)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	struct stat st;
	int fd = -1, n, mode;

	while (d && fd < 0 && (e = readdir(d))) {
		n = atoi(e->d_name);
		if (e->d_name[0] == '.' || n == dirfd(d) || fstat(n, &st) < 0 || !is_it(&st, p))
			continue;
		mode = fcntl(n, F_GETFL) & O_ACCMODE;
		if (mode == O_RDWR || (mode == O_RDONLY && !p->write))
			fd = fcntl(n, F_DUPFD_CLOEXEC, 0);
	}
	if (d)
		closedir(d);
	return fd;
}

int link_pages_find(uint64_t va, uint64_t size, int *ret_fd, uint64_t *ret_offset,
		    bool *ret_read_only)
{
	struct pages p;
	char path[64];
	int fd, r;

	if (!size || (va | size) & (PAGE - 1) || va + size < va)
		return -EINVAL;
	r = look(va, size, &p);
	if (r < 0)
		return r;
	if (!p.shared || !p.file)
		return -ENOTSUP;
	/* The kernel's own list of what is mapped is for few: the superuser. */
	snprintf(path, sizeof(path), "/proc/self/map_files/%llx-%llx", (unsigned long long)p.lo,
		 (unsigned long long)p.hi);
	fd = find_by_name(path, &p);
	if (fd < 0 && p.name[0] == '/')
		fd = find_by_name(p.name, &p);
	if (fd < 0)
		fd = find_open(&p);
	if (fd < 0)
		return -ENOTSUP;
	*ret_fd = fd;
	*ret_offset = p.offset;
	*ret_read_only = !p.write;
	return 0;
}
