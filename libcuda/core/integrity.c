/* SPDX-License-Identifier: MIT */
/*
 * integrity.c - the answer to the question that NVIDIA's runtime library puts to every driver.
 *
 * At start the runtime asks, through a private table of cuGetExportTable, for a keyed hash over the
 * driver's version, the calling process and thread, the time, some addresses and the devices, and
 * goes no further with a driver that answers something else. No secret of a user or a work is
 * guarded by it: the answer is what lets a program that links the runtime run with this driver at
 * all. It is given for interoperability and nothing else.
 *
 * Written from RFC 1319 (MD2) and RFC 2104 (HMAC); the key and the order of the hashed values are
 * publicly documented by the ZLUDA project, as are the two fixed answers. The build option
 * VGPU_INTEGRITY_CHECK=OFF leaves this file out; programs that use the driver API alone then still
 * work.
 */
#include <string.h>

#include "libcuda/core/integrity.h"

#define BLOCK 16 /* of MD2, and so of the HMAC */

/* RFC 1319, section 3.2: a permutation made from the digits of pi. */
static const uint8_t pi[256] = {
	41,  46,  67,  201, 162, 216, 124, 1,	61,  54,  84,  161, 236, 240, 6,   19,	98,  167,
	5,   243, 192, 199, 115, 140, 152, 147, 43,  217, 188, 76,  130, 202, 30,  155, 87,  60,
	253, 212, 224, 22,  103, 66,  111, 24,	138, 23,  229, 18,  190, 78,  196, 214, 218, 158,
	222, 73,  160, 251, 245, 142, 187, 47,	238, 122, 169, 104, 121, 145, 21,  178, 7,   63,
	148, 194, 16,  137, 11,	 34,  95,  33,	128, 127, 93,  154, 90,	 144, 50,  39,	53,  62,
	204, 231, 191, 247, 151, 3,   255, 25,	48,  179, 72,  165, 181, 209, 215, 94,	146, 42,
	172, 86,  170, 198, 79,	 184, 56,  210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116,
	4,   241, 69,  157, 112, 89,  100, 113, 135, 32,  134, 91,  207, 101, 230, 45,	168, 2,
	27,  96,  37,  173, 174, 176, 185, 246, 28,  70,  97,  105, 52,	 64,  126, 15,	85,  71,
	163, 35,  221, 81,  175, 58,  195, 92,	249, 206, 186, 197, 234, 38,  44,  83,	13,  110,
	133, 40,  132, 9,   211, 223, 205, 244, 65,  129, 77,  82,  106, 220, 55,  200, 108, 193,
	171, 250, 36,  225, 123, 8,   12,  189, 177, 74,  120, 136, 149, 139, 227, 99,	232, 109,
	233, 203, 213, 254, 59,	 0,   29,  57,	242, 239, 183, 14,  102, 88,  208, 228, 166, 119,
	114, 248, 235, 117, 75,	 10,  49,  68,	80,  180, 143, 237, 31,	 26,  219, 153, 141, 51,
	159, 17,  131, 20,
};

struct md2 {
	uint8_t x[3 * BLOCK];
	uint8_t sum[BLOCK]; /* running checksum */
	uint8_t buf[BLOCK];
	size_t fill;
};

static void md2_mix(struct md2 *m, const uint8_t block[BLOCK])
{
	uint8_t t = 0;

	for (int i = 0; i < BLOCK; i++) {
		m->x[BLOCK + i] = block[i];
		m->x[2 * BLOCK + i] = block[i] ^ m->x[i];
	}
	for (int round = 0; round < 18; round++) {
		for (int i = 0; i < 3 * BLOCK; i++)
			t = m->x[i] ^= pi[t];
		t = (uint8_t)(t + round);
	}
}

static void md2_block(struct md2 *m)
{
	uint8_t last = m->sum[BLOCK - 1];

	for (int i = 0; i < BLOCK; i++)
		last = m->sum[i] ^= pi[m->buf[i] ^ last];
	md2_mix(m, m->buf);
	m->fill = 0;
}

static void md2_add(struct md2 *m, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	while (bytes--) {
		m->buf[m->fill++] = *p++;
		if (m->fill == BLOCK)
			md2_block(m);
	}
}

static void md2_end(struct md2 *m, uint8_t ret_digest[16])
{
	uint8_t pad = (uint8_t)(BLOCK - m->fill), sum[BLOCK];

	for (uint8_t i = 0; i < pad; i++)
		md2_add(m, &pad, 1);
	memcpy(sum, m->sum, BLOCK);
	md2_mix(m, sum);
	memcpy(ret_digest, m->x, 16);
}

void cu_integrity_md2(const void *data, size_t bytes, uint8_t ret_digest[16])
{
	struct md2 m = { 0 };

	md2_add(&m, data, bytes);
	md2_end(&m, ret_digest);
}

/* As long as a block of MD2, so RFC 2104 uses it as it stands. */
static const uint8_t key[BLOCK] = {
	0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52,
	0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f,
};

/*
 * The question comes three times, with version % 10 = 0, 1 and 2. Runtimes up to 11 want these
 * fixed values for the first two, later ones do not look at them.
 */
static const uint8_t fixed[2][16] = {
	{ 0x5c, 0x67, 0xcb, 0x03, 0x1c, 0x18, 0x41, 0x33, 0xe8, 0xd1, 0x4c, 0x1f, 0xaa, 0x83, 0xd3,
	  0x8e },
	{ 0x5c, 0x67, 0xcb, 0x03, 0x1c, 0x18, 0x41, 0x18, 0xe8, 0xd1, 0x4c, 0x1f, 0xaa, 0x83, 0xd3,
	  0x8e },
};

static void hmac_key(struct md2 *m, uint8_t pad)
{
	uint8_t block[BLOCK];

	for (int i = 0; i < BLOCK; i++)
		block[i] = key[i] ^ pad;
	md2_add(m, block, sizeof(block));
}

void cu_integrity_answer(const struct cu_integrity_input *in,
			 const struct cu_integrity_device *devices, size_t count,
			 uint8_t ret_answer[16])
{
	struct md2 inner = { 0 }, outer = { 0 };
	uint8_t digest[16];

	_Static_assert(sizeof(*in) == 48 && sizeof(*devices) == 28, "hashed as they lie in memory");
	if (in->version % 10 < 2) {
		memcpy(ret_answer, fixed[in->version % 10], 16);
		return;
	}
	hmac_key(&inner, 0x36);
	md2_add(&inner, in, sizeof(*in));
	md2_add(&inner, devices, count * sizeof(*devices));
	md2_end(&inner, digest);

	hmac_key(&outer, 0x5c);
	md2_add(&outer, digest, sizeof(digest));
	md2_end(&outer, ret_answer);
}
