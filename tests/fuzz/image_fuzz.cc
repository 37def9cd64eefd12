// SPDX-License-Identifier: MIT
// Whatever a program hands to cuModuleLoadData: containers, packed payloads, texts.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

extern "C" {
#include "cuse_dev/backend/soft/image/image.h"
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct backend_log log;
	struct image_text text;

	if (!bytes)
		return 0;
	/* An exact copy, so that each byte too far is seen; unaligned as blobs may be. */
	std::unique_ptr<char[]> copy(new char[bytes]);
	memcpy(copy.get(), data + 1, bytes - 1);
	log.bytes = 0;
	if (image_pick(copy.get(), bytes - 1, 90, data[0] & 1, &text, &log)) {
		if (!log.bytes || strlen(log.text) + 1 != log.bytes)
			abort(); /* a refusal says why */
		return 0;
	}
	if (text.text[text.bytes])
		abort(); /* what reads it relies on the NUL */
	free(text.text);
	return 0;
}
