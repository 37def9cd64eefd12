/* SPDX-License-Identifier: MIT */
/* visible.c - which devices a program sees; see visible.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cuda.h>

#include "libcuda/core/visible.h"

void cu_visible_uuid_text(const uint8_t uuid[16], char ret_text[41])
{
	int n = snprintf(ret_text, 41, "GPU-");

	for (int i = 0; i < 16; i++)
		n += snprintf(ret_text + n, (size_t)(41 - n), "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static int attr_of(const struct link_dev *d, CUdevice_attribute attr)
{
	return d->attrs.known[attr / 64] >> (attr % 64) & 1 ? d->attrs.value[attr] : 0;
}

static double speed_of(const struct link_dev *d)
{
	return (double)attr_of(d, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) *
	       (double)attr_of(d, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
}

/* Does a come before b? Equal ones keep the order of their nodes. */
static bool comes_before(const struct link_dev *a, const struct link_dev *b, bool by_bus)
{
	const struct vgpu_device_info *x = &a->info, *y = &b->info;

	if (!by_bus)
		return speed_of(a) > speed_of(b);
	if (x->pci_domain != y->pci_domain)
		return x->pci_domain < y->pci_domain;
	if (x->pci_bus != y->pci_bus)
		return x->pci_bus < y->pci_bus;
	return x->pci_device < y->pci_device;
}

static void sort_devices(const struct link *l, bool by_bus, unsigned *order)
{
	for (unsigned i = 0; i < l->dev_count; i++) {
		unsigned at = i;

		while (at && comes_before(l->dev[i], l->dev[order[at - 1]], by_bus)) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = i;
	}
}

/* The device that one entry of the list names; -1 for none. */
static int entry_device(const struct link *l, const unsigned *sorted, const char *text, size_t n)
{
	char uuid[41], word[64], *end;
	int found = -1;
	long index;

	while (n && (*text == ' ' || *text == '\t'))
		text++, n--;
	while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	if (!n || n >= sizeof(word))
		return -1;
	memcpy(word, text, n);
	word[n] = 0;

	if (n >= 4 && !strncasecmp(word, "GPU-", 4)) {
		for (unsigned i = 0; i < l->dev_count; i++) {
			cu_visible_uuid_text(l->dev[i]->info.uuid, uuid);
			if (strncasecmp(uuid, word, n))
				continue;
			if (found >= 0)
				return -1;
			found = (int)i;
		}
		return found;
	}
	index = strtol(word, &end, 10);
	if (end == word || *end || index < 0 || index >= (long)l->dev_count)
		return -1;
	return (int)sorted[index];
}

unsigned cu_visible_pick(const struct link *l, const char *visible, const char *order,
			 unsigned ret_order[VGPU_MAX_DEVICES])
{
	unsigned sorted[VGPU_MAX_DEVICES], n = 0;
	const char *comma;

	sort_devices(l, order && !strcmp(order, "PCI_BUS_ID"), sorted);
	if (!visible) {
		memcpy(ret_order, sorted, l->dev_count * sizeof(sorted[0]));
		return l->dev_count;
	}
	for (;; visible = comma + 1) {
		int d;

		comma = strchr(visible, ',');
		d = entry_device(l, sorted, visible,
				 comma ? (size_t)(comma - visible) : strlen(visible));
		if (d < 0)
			return n;
		for (unsigned i = 0; i < n; i++)
			if (ret_order[i] == (unsigned)d)
				return 0;
		ret_order[n++] = (unsigned)d;
		if (!comma)
			return n;
	}
}
