/* SPDX-License-Identifier: MIT */
/* integrity.h - the answer to the runtime library's integrity question; see integrity.c. */
#ifndef CORE_INTEGRITY_H
#define CORE_INTEGRITY_H

#include <stddef.h>
#include <stdint.h>

/** One device as the answer counts it. */
struct cu_integrity_device {
	uint8_t uuid[16];
	int32_t pci_domain;
	int32_t pci_bus;
	int32_t pci_device;
};

/** The rest of what is hashed; the layout is the hash's. */
struct cu_integrity_input {
	uint32_t driver_version;
	uint32_t version; /* of the question */
	uint32_t pid;
	uint32_t thread; /* low half of pthread_self() */
	uint64_t cudart_table;
	uint64_t integrity_table;
	uint64_t function; /* slot 1 of the latter */
	uint64_t time;
};

void cu_integrity_answer(const struct cu_integrity_input *in,
			 const struct cu_integrity_device *devices, size_t count,
			 uint8_t ret_answer[16]);

/** cu_integrity_md2() - RFC 1319; here for its test. */
void cu_integrity_md2(const void *data, size_t bytes, uint8_t ret_digest[16]);

#endif
