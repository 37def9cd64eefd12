/* SPDX-License-Identifier: MIT */
/* visible.h - CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER: which devices a program sees, and in what
 * order. */
#ifndef CORE_VISIBLE_H
#define CORE_VISIBLE_H

#include "libcuda/link/link.h"

/**
 * cu_visible_pick() - indices into l->dev in the order of ordinals; returns how many.
 *
 * @visible: NULL for all; else a list of indices and "GPU-<uuid>" (or a beginning of it that fits
 * one device only), read up to the first entry that names none. An entry named twice leaves no
 * device at all.
 * @order: "PCI_BUS_ID", anything else is "FASTEST_FIRST".
 */
unsigned cu_visible_pick(const struct link *l, const char *visible, const char *order,
			 unsigned ret_order[VGPU_MAX_DEVICES]);

/** cu_visible_uuid_text() - "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", 41 bytes with the NUL. */
void cu_visible_uuid_text(const uint8_t uuid[16], char ret_text[41]);

#endif
