/* SPDX-License-Identifier: MIT */
/* meter.c - busy time by slots of time. */
#include "cuse_dev/base/meter.h"

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* The slot of time @number, emptied if it still counts for an earlier one. */
static struct meter_slot *slot_of(struct meter_track *t, uint64_t number)
{
	struct meter_slot *s = &t->slot[number % METER_SLOTS];

	if (load(&s->number) != number) {
		store(&s->busy_ns, 0);
		store(&s->bytes, 0);
		__atomic_store_n(&s->number, number, __ATOMIC_RELEASE);
	}
	return s;
}

/* Spread [@begin, @end) over the slots; what is older than the ring has no place any more. */
static void spread(struct meter_track *t, uint64_t begin, uint64_t end)
{
	uint64_t n = begin >> METER_SHIFT, last = end >> METER_SHIFT, from, to;

	if (last - n >= METER_SLOTS)
		n = last - METER_SLOTS + 1;
	for (; n <= last; n++) {
		struct meter_slot *s = slot_of(t, n);

		from = n << METER_SHIFT;
		to = (n + 1) << METER_SHIFT;
		from = from < begin ? begin : from;
		to = to > end ? end : to;
		store(&s->busy_ns, s->busy_ns + (to - from));
	}
}

void meter_begin(struct meter_track *t, uint64_t now)
{
	store(&t->count, t->count + 1);
	__atomic_store_n(&t->since_ns, now, __ATOMIC_RELEASE);
}

void meter_end(struct meter_track *t, uint64_t now)
{
	uint64_t since = t->since_ns;

	store(&t->since_ns, 0);
	if (now <= since)
		return;
	store(&t->busy_ns, t->busy_ns + (now - since));
	spread(t, since, now);
}

void meter_bytes(struct meter_track *t, uint64_t now, uint64_t bytes)
{
	struct meter_slot *s = slot_of(t, now >> METER_SHIFT);

	store(&t->bytes, t->bytes + bytes);
	store(&s->bytes, s->bytes + bytes);
}

/* Of what goes on just now, the part between @from and @now. */
static uint64_t open_part(const struct meter_track *t, uint64_t from, uint64_t now)
{
	uint64_t since = load(&t->since_ns);

	if (!since || since >= now)
		return 0;
	return now - (since > from ? since : from);
}

/* The first slot worth a look; the ring holds no more than METER_SLOTS up to @last. */
static uint64_t clip(uint64_t first, uint64_t last)
{
	return last - first < METER_SLOTS ? first : last - (METER_SLOTS - 1);
}

uint64_t meter_busy(const struct meter_track *t, uint64_t first, uint64_t now)
{
	uint64_t last = now >> METER_SHIFT, most = now - (first << METER_SHIFT), sum, busy, n;

	if (first > last)
		return 0;
	sum = open_part(t, first << METER_SHIFT, now);
	for (n = clip(first, last); n <= last; n++) {
		const struct meter_slot *s = &t->slot[n % METER_SLOTS];

		if (load(&s->number) != n)
			continue;
		busy = load(&s->busy_ns);
		sum += busy < METER_SLOT_NS ? busy : METER_SLOT_NS;
	}
	return sum < most ? sum : most;
}

uint64_t meter_moved(const struct meter_track *t, uint64_t first, uint64_t now)
{
	uint64_t last = now >> METER_SHIFT, sum = 0, n;

	if (first > last)
		return 0;
	for (n = clip(first, last); n <= last; n++) {
		if (load(&t->slot[n % METER_SLOTS].number) == n)
			sum += load(&t->slot[n % METER_SLOTS].bytes);
	}
	return sum;
}

uint64_t meter_total(const struct meter_track *t, uint64_t born, uint64_t now)
{
	uint64_t sum = load(&t->busy_ns), most = now > born ? now - born : 0;

	if (sum > most)
		return most;
	sum += open_part(t, born, now);
	return sum < most ? sum : most;
}

void meter_fold(struct meter_track *to, const struct meter_track *from, uint64_t born, uint64_t now)
{
	uint64_t last = now >> METER_SHIFT, since = load(&from->since_ns), n, busy, bytes;
	struct meter_slot *s;
	uint32_t i;

	to->busy_ns += meter_total(from, born, now);
	to->count += load(&from->count);
	to->bytes += load(&from->bytes);
	for (i = 0; i < METER_SLOTS; i++) {
		n = load(&from->slot[i].number);
		busy = load(&from->slot[i].busy_ns);
		bytes = load(&from->slot[i].bytes);
		if (n > last || last - n >= METER_SLOTS || !(busy | bytes))
			continue;
		s = slot_of(to, n);
		s->busy_ns += busy < METER_SLOT_NS ? busy : METER_SLOT_NS;
		s->bytes += bytes;
	}
	if (since > born && since < now)
		spread(to, since, now);
}
