/* SPDX-License-Identifier: MIT */
/*
 * uuid.c - the UUIDs of this host's virtual devices.
 *
 *   uuid(i) = systemd's application-specific machine id, for the application id below with i added to its
 *             last 32 bits: HMAC-SHA256 keyed by /etc/machine-id. It does not reveal the machine id.
 *
 * A host without a machine id (a chroot, a container) gets the 128-bit FNV-1a hash of its host name
 * and i instead, marked as a version 8 UUID; it is as stable as that name.
 */
#include "cuse_dev/vdev/profile.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

/* Chosen once at random; changing it changes the UUID of every device. */
static const sd_id128_t application_id =
	SD_ID128_MAKE(6d, 1e, 4a, 93, 0c, b2, 4f, 6d, 9a, 57, c8, 21, 00, 00, 00, 00);

static void hash_bytes(unsigned __int128 *h, const void *data, size_t n)
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
	const uint8_t *b = data;

	for (size_t i = 0; i < n; i++)
		*h = (*h ^ b[i]) * prime;
}

static int uuid_from_host_name(uint32_t index, uint8_t ret_uuid[16])
{
	unsigned __int128 h =
		((unsigned __int128)0x6c62272e07bb0142ull << 64) | 0x62b821756295c58dull;
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) < 0)
		return -errno;
	hash_bytes(&h, name, strlen(name) + 1);
	hash_bytes(&h, &index, sizeof(index));
	for (int i = 0; i < 16; i++)
		ret_uuid[i] = (uint8_t)(h >> (8 * (15 - i)));
	ret_uuid[6] = (uint8_t)((ret_uuid[6] & 0x0f) | 0x80);
	ret_uuid[8] = (uint8_t)((ret_uuid[8] & 0x3f) | 0x80);
	return 0;
}

int profile_uuid(uint32_t index, uint8_t ret_uuid[16])
{
	sd_id128_t app = application_id, id;

	for (int i = 0; i < 4; i++)
		app.bytes[12 + i] = (uint8_t)(index >> (8 * (3 - i)));
	if (sd_id128_get_machine_app_specific(app, &id) < 0)
		return uuid_from_host_name(index, ret_uuid);
	memcpy(ret_uuid, id.bytes, 16);
	return 0;
}
