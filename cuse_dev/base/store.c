/* SPDX-License-Identifier: MIT */
/* store.c - the file of store.h, with pread and pwrite only: a mapped one would be a SIGBUS away. */
#include "cuse_dev/base/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC	    0x31524f5453555056ull /* "VPUSTOR1" */
#define ENTRY_MAGIC 0x59525445u
#define WAYS	    4u
#define ALIGN	    64u
#define LOCK_TRIES  50	 /* of LOCK_PAUSE each */
#define LOCK_PAUSE  2000 /* µs */

struct header {
	uint64_t magic;
	uint64_t sets; /* of the index, a power of two */
	uint64_t ring; /* offset of the ring in the file */
	uint64_t size; /* bytes of the ring */
	uint64_t head; /* where the next entry goes, bytes into the ring */
	uint64_t puts;
};

struct slot {
	struct store_key key;
	uint64_t at; /* bytes into the ring */
	uint32_t bytes;
	uint32_t age; /* low bits of header.puts when it was put; 0: empty */
};

struct entry {
	uint32_t magic;
	uint32_t bytes;
	struct store_key key;
	struct store_key sum; /* of key and content */
	uint8_t pad[24];
};

struct store {
	int fd;
	struct header h; /* its geometry, checked; head and puts are read anew under the lock */
};

struct store_hash {
	XXH3_state_t state;
};

_Static_assert(sizeof(struct entry) == ALIGN, "the content follows aligned");
_Static_assert(sizeof(struct slot) == 32, "no padding on disk");

static int read_all(int fd, void *to, size_t bytes, uint64_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < bytes) {
		n = pread(fd, (char *)to + done, bytes - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const void *from, size_t bytes, uint64_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < bytes) {
		n = pwrite(fd, (const char *)from + done, bytes - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* ---- keys ----------------------------------------------------------------------------------- */

struct store_hash *store_hash_create(void)
{
	struct store_hash *h = NULL;

	if (posix_memalign((void **)&h, 64, sizeof(*h)))
		return NULL;
	XXH3_128bits_reset(&h->state);
	return h;
}

/* The length counts too: "ab","c" is not "a","bc". */
void store_hash_add(struct store_hash *h, const void *data, size_t bytes)
{
	uint64_t n = bytes;

	XXH3_128bits_update(&h->state, &n, sizeof(n));
	XXH3_128bits_update(&h->state, data, bytes);
}

struct store_key store_hash_end(struct store_hash *h)
{
	XXH128_hash_t x = XXH3_128bits_digest(&h->state);

	free(h);
	return (struct store_key){ { x.low64, x.high64 } };
}

static struct store_key checksum(const struct store_key *key, const void *data, size_t bytes)
{
	XXH128_hash_t x =
		XXH128(data, bytes, key->word[0] ^ (key->word[1] * 0x9e3779b97f4a7c15ull));

	return (struct store_key){ { x.low64, x.high64 } };
}

static bool same(const struct store_key *a, const struct store_key *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

/* ---- the file ------------------------------------------------------------------------------- */

static bool sound(const struct header *h, uint64_t file)
{
	return h->magic == MAGIC && h->sets && !(h->sets & (h->sets - 1)) && h->sets <= 1u << 20 &&
	       h->ring == ALIGN + h->sets * WAYS * sizeof(struct slot) && h->ring <= file &&
	       h->size >= 4 * ALIGN && h->size <= file - h->ring && !(h->size % ALIGN) &&
	       h->head <= h->size && !(h->head % ALIGN);
}

static int read_header(int fd, struct header *ret_header)
{
	struct header h;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = read_all(fd, &h, sizeof(h), 0);
	if (r < 0)
		return r == -ENODATA ? -EINVAL : r;
	if (!sound(&h, (uint64_t)st.st_size))
		return -EINVAL;
	*ret_header = h;
	return 0;
}

int store_format(int fd, uint64_t bytes)
{
	struct header h = { .magic = MAGIC, .sets = 64 };

	if (bytes < STORE_MIN_BYTES)
		return -EINVAL;
	/* One slot per 16 KiB or so. */
	while (h.sets < 1u << 16 && h.sets * WAYS * 16384 < bytes)
		h.sets *= 2;
	h.ring = ALIGN + h.sets * WAYS * sizeof(struct slot);
	h.size = (bytes - h.ring) & ~(uint64_t)(ALIGN - 1);
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	return write_all(fd, &h, sizeof(h), 0);
}

int store_open(int fd, struct store **ret_store)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->fd = fd;
	r = read_header(fd, &s->h);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

void store_close(struct store *s)
{
	free(s);
}

static uint64_t set_at(const struct store *s, const struct store_key *key)
{
	return ALIGN + (key->word[0] & (s->h.sets - 1)) * WAYS * sizeof(struct slot);
}

/* Content of a slot, if it is whole. */
static int read_entry(struct store *s, const struct slot *slot, void **ret_data)
{
	struct store_key sum;
	struct entry e;
	void *data;
	int r;

	if (!slot->age || slot->at % ALIGN || slot->at > s->h.size - sizeof(e) ||
	    slot->bytes > s->h.size - sizeof(e) - slot->at)
		return -ENOENT;
	r = read_all(s->fd, &e, sizeof(e), s->h.ring + slot->at);
	if (r < 0)
		return r;
	if (e.magic != ENTRY_MAGIC || e.bytes != slot->bytes || !same(&e.key, &slot->key))
		return -ENOENT;
	data = malloc(slot->bytes ? slot->bytes : 1);
	if (!data)
		return -ENOMEM;
	r = read_all(s->fd, data, slot->bytes, s->h.ring + slot->at + sizeof(e));
	sum = checksum(&e.key, data, r < 0 ? 0 : slot->bytes);
	if (r == 0 && !same(&sum, &e.sum))
		r = -ENOENT;
	if (r < 0) {
		free(data);
		return r;
	}
	*ret_data = data;
	return 0;
}

int store_find(struct store *s, const struct store_key *key, void **ret_data, size_t *ret_bytes)
{
	struct slot set[WAYS];
	int r;

	r = read_all(s->fd, set, sizeof(set), set_at(s, key));
	for (unsigned i = 0; r == 0 && i < WAYS; i++) {
		if (!same(&set[i].key, key))
			continue;
		r = read_entry(s, &set[i], ret_data);
		if (r == 0) {
			*ret_bytes = set[i].bytes;
			return 0;
		}
		return r == -ENOMEM ? r : -ENOENT;
	}
	return r == 0 || r == -ENODATA ? -ENOENT : -EIO;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int lock(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		usleep(LOCK_PAUSE);
	}
	return -EAGAIN;
}

/* The slot with this key, else an empty one, else the oldest. */
static unsigned choose(const struct slot set[WAYS], const struct store_key *key, uint32_t now)
{
	unsigned best = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].age && same(&set[i].key, key))
			return i;
	}
	for (unsigned i = 0; i < WAYS; i++) {
		if (!set[i].age)
			return i;
		if (now - set[i].age > now - set[best].age)
			best = i;
	}
	return best;
}

/* Content first, then the slot that leads to it, then the head. */
static int put_locked(struct store *s, const struct store_key *key, const void *data, size_t bytes)
{
	struct entry e = { .magic = ENTRY_MAGIC, .bytes = (uint32_t)bytes, .key = *key };
	uint64_t room = (sizeof(e) + bytes + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
	struct slot set[WAYS];
	struct header h;
	unsigned i;
	int r;

	r = read_header(s->fd, &h);
	if (r < 0)
		return r;
	if (h.sets != s->h.sets || h.size != s->h.size)
		return -EINVAL;
	if (h.head > h.size - room)
		h.head = 0;
	e.sum = checksum(key, data, bytes);
	r = write_all(s->fd, data, bytes, h.ring + h.head + sizeof(e));
	if (r == 0)
		r = write_all(s->fd, &e, sizeof(e), h.ring + h.head);
	if (r == 0)
		r = read_all(s->fd, set, sizeof(set), set_at(s, key));
	if (r < 0)
		return r;
	h.puts++;
	i = choose(set, key, (uint32_t)h.puts);
	set[i] = (struct slot){ .key = *key,
				.at = h.head,
				.bytes = (uint32_t)bytes,
				.age = (uint32_t)h.puts ? (uint32_t)h.puts : 1 };
	r = write_all(s->fd, &set[i], sizeof(set[i]), set_at(s, key) + i * sizeof(set[i]));
	h.head += room;
	return r < 0 ? r : write_all(s->fd, &h, sizeof(h), 0);
}

int store_put(struct store *s, const struct store_key *key, const void *data, size_t bytes)
{
	int r;

	if (bytes > s->h.size / 4 - sizeof(struct entry))
		return -EFBIG;
	r = lock(s->fd);
	if (r < 0)
		return r;
	r = put_locked(s, key, data, bytes);
	flock(s->fd, LOCK_UN);
	return r;
}

int store_count(struct store *s, struct store_stat *ret_stat)
{
	struct store_stat st = { .file_bytes = s->h.ring + s->h.size };
	struct slot set[WAYS];
	struct header h;
	void *data;
	int r;

	r = read_header(s->fd, &h);
	if (r < 0)
		return r;
	st.puts = h.puts;
	for (uint64_t n = 0; n < h.sets; n++) {
		r = read_all(s->fd, set, sizeof(set), ALIGN + n * sizeof(set));
		if (r < 0)
			return r;
		for (unsigned i = 0; i < WAYS; i++) {
			if (read_entry(s, &set[i], &data) < 0)
				continue;
			free(data);
			st.entries++;
			st.bytes += set[i].bytes;
		}
	}
	*ret_stat = st;
	return 0;
}
