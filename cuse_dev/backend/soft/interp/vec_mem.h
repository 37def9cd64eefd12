/* SPDX-License-Identifier: MIT */
/*
 * vec_mem.h - loads and stores of a warp, part of vec_body.h.
 *
 * Most accesses have a pattern: all lanes at one place, lane after lane in a row, or that for each
 * half of a warp (tiles that are 16 wide). Those become a few vector moves whose two ends are
 * checked; everything else gets a pointer per lane. What the checks here do not like goes through
 * interp_lane_ptrs(), which knows every space and words the faults. Pages that are not mapped fault
 * in the access itself. Not here: 128-bit elements, atomics.
 */

/*
 * Where the lanes' accesses go, by the pointers p.
 *
 *	ROW	lane i at p[0] + i * size, all 32 lanes run
 *	PART	the same, but some lanes do not run; p[0] itself may be outside of memory
 *	ONE	all that run at p[0]
 *	HALVES	lanes 0 .. 15 from p[0] on and 16 .. 31 from p[16] on, all run; _LOW, _HIGH: that half
 *		is a row, else it is at one place
 *	ANY	lane i at p[i], the dummy where it does not run
 */
enum shape {
	SHAPE_FAULT,
	SHAPE_ANY,
	SHAPE_ROW,
	SHAPE_PART,
	SHAPE_ONE,
	SHAPE_HALVES = 8,
	SHAPE_LOW = 1,
	SHAPE_HIGH = 2,
};

/* Lane i: all ones when it runs. */
#define RUNS(i) (0 - (uint64_t)(w->mask >> (i)&1))

/* Distances of lanes from lane 0: [0] one place, [k + 1] a row of elements of 1 << k bytes. */
#define STEP_8(s, i)                                                                               \
	(i) * (s), ((i) + 1) * (s), ((i) + 2) * (s), ((i) + 3) * (s), ((i) + 4) * (s),             \
		((i) + 5) * (s), ((i) + 6) * (s), ((i) + 7) * (s)
#define STEPS(s)                                                                                   \
	{                                                                                          \
		STEP_8(s, 0), STEP_8(s, 8), STEP_8(s, 16), STEP_8(s, 24)                           \
	}
#define ALL_STEPS                                                                                  \
	{                                                                                          \
		STEPS(0), STEPS(1), STEPS(2), STEPS(4), STEPS(8), STEPS(16), STEPS(32), STEPS(64)  \
	}
_Alignas(64) static const uint64_t steps_64[8][LANES_N] = ALL_STEPS;
_Alignas(64) static const uint32_t steps_32[8][LANES_N] = ALL_STEPS;

/* The lanes whose address is base + t[lane]. */
static inline uint32_t match_64(const uint64_t *a, uint64_t base, const uint64_t *t)
{
#ifdef __AVX512BW__
	__m512i b = _mm512_set1_epi64((long long)base);
	uint32_t m = 0;

	for (uint32_t k = 0; k < 4; k++)
		m |= (uint32_t)(mask_bits(_mm512_cmpeq_epi64_mask(
					_mm512_load_si512(a + 8 * k),
					_mm512_add_epi64(b, _mm512_load_si512(t + 8 * k))))
				<< (8 * k));
	return m;
#else
	_Alignas(64) uint8_t f[LANES_N];

	LANES f[i] = a[i] == base + t[i];
	return bits_of(f);
#endif
}

static inline uint32_t match_32(const uint32_t *a, uint32_t base, const uint32_t *t)
{
#ifdef __AVX512BW__
	__m512i b = _mm512_set1_epi32((int)base);
	uint32_t m = 0;

	for (uint32_t k = 0; k < 2; k++)
		m |= (uint32_t)(mask_bits(_mm512_cmpeq_epi32_mask(
					_mm512_load_si512(a + 16 * k),
					_mm512_add_epi32(b, _mm512_load_si512(t + 16 * k))))
				<< (16 * k));
	return m;
#else
	_Alignas(64) uint8_t f[LANES_N];

	LANES f[i] = a[i] == base + t[i];
	return bits_of(f);
#endif
}

/* The pattern of addresses a; ret_at: what would be lane 0's, and lane 16's for halves. */
#define PATTERN(bits, T)                                                                           \
	static inline uint32_t pattern_##bits(const T *a, uint32_t mask, uint32_t size, T *ret_at) \
	{                                                                                          \
		uint32_t row = (uint32_t)__builtin_ctz(size) + 1, f, g, m, shape;                  \
		const T *t;                                                                        \
		T d;                                                                               \
		if (mask != ~0u) {                                                                 \
			f = (uint32_t)__builtin_ctz(mask);                                         \
			g = mask & (mask - 1) ? (uint32_t)__builtin_ctz(mask & (mask - 1)) : f;    \
			d = a[g] - a[f];                                                           \
			if (d && d != (T)(g - f) * size)                                           \
				return SHAPE_ANY;                                                  \
			t = steps_##bits[d ? row : 0];                                             \
			ret_at[0] = a[f] - t[f];                                                   \
			return mask & ~match_##bits(a, ret_at[0], t) ? SHAPE_ANY                   \
			       : d				     ? SHAPE_PART                  \
								     : SHAPE_ONE;                                                    \
		}                                                                                  \
		d = a[1] - a[0];                                                                   \
		if (d && d != size)                                                                \
			return SHAPE_ANY;                                                          \
		ret_at[0] = a[0];                                                                  \
		m = match_##bits(a, a[0], steps_##bits[d ? row : 0]);                              \
		if (m == ~0u)                                                                      \
			return d ? SHAPE_ROW : SHAPE_ONE;                                          \
		shape = SHAPE_HALVES | (d ? SHAPE_LOW : 0);                                        \
		d = a[17] - a[16];                                                                 \
		if ((uint16_t)m != 0xffff || (d && d != size))                                     \
			return SHAPE_ANY;                                                          \
		t = steps_##bits[d ? row : 0];                                                     \
		ret_at[1] = a[16];                                                                 \
		m = match_##bits(a, a[16] - t[16], t);                                             \
		return m >> 16 == 0xffff ? shape | (d ? SHAPE_HIGH : 0) : SHAPE_ANY;               \
	}
PATTERN(64, uint64_t)
PATTERN(32, uint32_t)

/* The same, from the note that an earlier access may have left. */
#define RECALL(bits, T)                                                                            \
	static inline uint32_t recall_##bits(W *w, IN *in, uint32_t size, T *ret_at)               \
	{                                                                                          \
		struct interp_note *n = &w->notes[in->e & (int32_t)(INTERP_NOTES - 1)];            \
		uint32_t shape;                                                                    \
		if (in->e >= 0 && in->e < INTERP_NOTE_FIRST) {                                     \
			ret_at[0] = (T)n->at[0];                                                   \
			ret_at[1] = (T)n->at[1];                                                   \
			return n->shape;                                                           \
		}                                                                                  \
		shape = pattern_##bits(REG(const T, in->a), w->mask, size, ret_at);                \
		if (in->e >= 0)                                                                    \
			*n =                                                                       \
				(struct interp_note){ shape, 0, { ret_at[0], ret_at[1] },          \
						      0,     0, { 0 } };                           \
		return shape;                                                                      \
	}
RECALL(64, uint64_t)
RECALL(32, uint32_t)

/* Memory that lanes may reach: address low + x lies at base + x, for x <= limit. */
struct reach {
	uint64_t low, limit;
	uint8_t *base;
	size_t stride; /* between the memories of lanes, 0: they share one */
};

/* Both ends of n elements from address va on. */
static inline bool in_reach(const struct reach *r, uint64_t va, uint32_t n, uint32_t size)
{
	uint64_t first = va - r->low, last = first + (uint64_t)(n - 1) * size;

	return first <= r->limit && last <= r->limit && !(va & (size - 1));
}

/* A pattern with its addresses to pointers; false: something for the exact path. */
static inline bool place(W *w, IN *in, const struct reach *r, uint32_t shape, const uint64_t *at,
			 uint32_t size, uint8_t **ret)
{
	uint32_t f = 0, n = LANES_N;
	uint64_t low, high;

	if (shape == SHAPE_PART) {
		f = (uint32_t)__builtin_ctz(w->mask);
		n = 32 - (uint32_t)__builtin_clz(w->mask) - f;
	} else if (shape == SHAPE_ONE) {
		n = 1;
	} else if (shape & SHAPE_HALVES) {
		n = shape & SHAPE_LOW ? 16 : 1;
	}
	if (!in_reach(r, at[0] + (uint64_t)f * size, n, size))
		return false;
	low = at[0] - r->low + (uint64_t)f * size;
	high = low + (uint64_t)(n - 1) * size;
	if (shape & SHAPE_HALVES) {
		uint64_t first = at[1] - r->low,
			 last = first + (shape & SHAPE_HIGH ? 15 * size : 0);

		if (!in_reach(r, at[1], shape & SHAPE_HIGH ? 16 : 1, size))
			return false;
		low = first < low ? first : low;
		high = last > high ? last : high;
		ret[16] = r->base + (at[1] - r->low);
	}
	ret[0] = r->base + (at[0] - r->low);
	if (in->e >= INTERP_NOTE_FIRST) {
		struct interp_note *note = &w->notes[in->e & (int32_t)(INTERP_NOTES - 1)];

		note->quick = shape;
		note->low = in->imm - low;
		note->span = low + (r->limit - high);
		note->base[0] = (uintptr_t)ret[0] - in->imm;
		note->base[1] = shape & SHAPE_HALVES ? (uintptr_t)ret[16] - in->imm : 0;
	}
	return true;
}

/* The shape and the pointers by a note alone; SHAPE_FAULT: not so simple. */
static inline uint32_t noted(W *w, IN *in, uint32_t size, uint8_t **ret)
{
	const struct interp_note *n;
	uint64_t off;

	if ((uint32_t)in->e >= INTERP_NOTES)
		return SHAPE_FAULT;
	n = &w->notes[in->e];
	off = in->imm - n->low;
	if (off > n->span || off & (size - 1))
		return SHAPE_FAULT;
	w->cur = in;
	ret[0] = (uint8_t *)(n->base[0] + in->imm);
	ret[16] = (uint8_t *)(n->base[1] + in->imm);
	return n->quick;
}

/* A pointer per lane. */
static inline uint32_t scattered(W *w, IN *in, const struct reach *r, const uint64_t *a,
				 uint64_t imm, uint32_t size, uint8_t **ret)
{
	uint8_t *none = w->dummy;
	uint64_t bad = 0, base = (uint64_t)(uintptr_t)r->base + imm - r->low, stride = r->stride;

	LANES bad |= RUNS(i) &
		     ((uint64_t)(a[i] + imm - r->low > r->limit) | ((a[i] + imm) & (size - 1)));
	if (bad)
		return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;
	if (stride) {
		LANES ret[i] = w->mask >> i & 1 ? (uint8_t *)(a[i] + base + i * stride) : none;
	} else {
		LANES ret[i] = w->mask >> i & 1 ? (uint8_t *)(a[i] + base) : none;
	}
	return SHAPE_ANY;
}

/* What the instruction may reach when its first running lane's address is va. false: exact path. */
static inline bool reach_of(W *w, IN *in, uint64_t va, uint32_t size, struct reach *ret)
{
	const struct simt_grid *g = w->base.grid;
	uint64_t bytes = g->window_size;

	*ret = (struct reach){ .low = g->window_base, .base = (uint8_t *)g->window_base };
	if (in->space == IR_SPACE_LOCAL || in->space == IR_SPACE_FRAME ||
	    (in->space == IR_SPACE_GENERIC && va - IR_LOCAL_APERTURE < IR_APERTURE_BYTES)) {
		ret->low = in->space == IR_SPACE_GENERIC ? IR_LOCAL_APERTURE
			   : in->space == IR_SPACE_FRAME ? -(uint64_t)w->frame->base
							 : 0;
		ret->base = w->base.local;
		ret->stride = w->base.local_stride;
		bytes = g->local_bytes;
	} else if (in->space == IR_SPACE_SHARED ||
		   (in->space == IR_SPACE_GENERIC && va - IR_SHARED_APERTURE < IR_APERTURE_BYTES)) {
		ret->low = in->space == IR_SPACE_GENERIC ? IR_SHARED_APERTURE : 0;
		ret->base = w->base.block->shared;
		bytes = g->shared_bytes;
	} else if (in->space == IR_SPACE_PARAM) {
		return false;
	}
	ret->limit = bytes - size;
	return bytes >= size;
}

/* Shared memory through 32-bit registers. */
static inline uint32_t shared_shape(W *w, IN *in, uint32_t size, uint8_t **ret)
{
	const uint32_t *s = REG(const uint32_t, in->a);
	uint32_t off = (uint32_t)in->imm, shape, at[2] = { 0 }, max, wrong = 0;
	struct reach r;
	uint64_t wide[2];
	uint8_t *none = w->dummy;

	/* Before anything else: later accesses rely on the note. */
	shape = recall_32(w, in, size, at);
	if (!reach_of(w, in, 0, size, &r))
		return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;
	wide[0] = (uint32_t)(at[0] + off);
	wide[1] = (uint32_t)(at[1] + off);
	if (shape == SHAPE_PART) /* its lane 0 may lie before the memory */
		wide[0] = (uint64_t)(int64_t)(int32_t)wide[0];
	if (shape != SHAPE_ANY && place(w, in, &r, shape, wide, size, ret))
		return shape;
	max = (uint32_t)r.limit;
	LANES wrong |= (uint32_t)RUNS(i) & ((s[i] + off > max) | ((s[i] + off) & (size - 1)));
	if (wrong)
		return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;
	LANES ret[i] = w->mask >> i & 1 ? r.base + (uint32_t)(s[i] + off) : none;
	return SHAPE_ANY;
}

/* Addresses without a register. */
static inline uint32_t fixed_shape(W *w, IN *in, uint32_t size, uint8_t **ret)
{
	uint8_t *none = w->dummy, *base;
	struct reach r;

	if (in->space == IR_SPACE_PARAM) {
		/* decode.c has checked it */
		ret[0] = (uint8_t *)w->base.grid->params + in->imm;
		return SHAPE_ONE;
	}
	if (!reach_of(w, in, in->imm, size, &r) || !in_reach(&r, in->imm, 1, size))
		return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;
	base = r.base + (in->imm - r.low);
	if (!r.stride) {
		ret[0] = base;
		return SHAPE_ONE;
	}
	LANES ret[i] = w->mask >> i & 1 ? base + i * r.stride : none;
	return SHAPE_ANY;
}

/* A frame can be full with lanes that do not run: only the mask counts here. */
static inline uint32_t shape_of(W *w, IN *in, uint32_t size, uint8_t **ret)
{
	_Alignas(64) uint64_t wide[LANES_N];
	uint64_t at[2] = { 0 }, imm = in->imm;
	uint32_t shape = SHAPE_ANY;
	const uint64_t *a;
	struct reach r;

	w->cur = in;
	if (in->flags & INTERP_ADDR0)
		return fixed_shape(w, in, size, ret);
	if (in->flags & INTERP_ADDR64) {
		a = REG(const uint64_t, in->a);
		shape = recall_64(w, in, size, at);
	} else if (in->space == IR_SPACE_SHARED) {
		return shared_shape(w, in, size, ret);
	} else {
		const uint32_t *s = REG(const uint32_t, in->a);

		LANES wide[i] = (uint32_t)(s[i] + (uint32_t)imm);
		a = wide;
		imm = 0;
	}
	if (!reach_of(w, in, a[__builtin_ctz(w->mask)] + imm, size, &r))
		return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;
	at[0] += imm;
	at[1] += imm;
	if (shape != SHAPE_ANY && !r.stride && place(w, in, &r, shape, at, size, ret))
		return shape;
	return scattered(w, in, &r, a, imm, size, ret);
}

/* The loads and stores must really happen, where shape_of() has allowed them. */
#define BARRIER() __asm__ volatile("" ::: "memory")

/* A part of a row as pointers, for those who cannot mask. */
static inline void spread_part(W *w, uint32_t size, uint8_t **p)
{
	uint64_t base = (uint64_t)(uintptr_t)p[0];
	uint8_t *none = w->dummy;

	LANES p[i] = w->mask >> i & 1 ? (uint8_t *)(base + (uint64_t)i * size) : none;
}

/*
 * Lanes of 4 or 8 bytes whose register is as wide, n == 1: into d, unless the frame is full only
 * those that run.
 */
#ifdef __AVX512BW__
static inline void load_part(W *w, const uint8_t *p, size_t size, uint8_t *d)
{
	for (uint32_t k = 0; size == 4 && k < 2; k++) {
		__mmask16 m = (__mmask16)(w->mask >> (16 * k));

		_mm512_mask_storeu_epi32(d + 64 * k, m, _mm512_maskz_loadu_epi32(m, p + 64 * k));
	}
	for (uint32_t k = 0; size == 8 && k < 4; k++) {
		__mmask8 m = (__mmask8)(w->mask >> (8 * k));

		_mm512_mask_storeu_epi64(d + 64 * k, m, _mm512_maskz_loadu_epi64(m, p + 64 * k));
	}
}

static inline void store_part(W *w, uint8_t *p, size_t size, const uint8_t *s)
{
	for (uint32_t k = 0; size == 4 && k < 2; k++)
		_mm512_mask_storeu_epi32(p + 64 * k, (__mmask16)(w->mask >> (16 * k)),
					 _mm512_load_si512(s + 64 * k));
	for (uint32_t k = 0; size == 8 && k < 4; k++)
		_mm512_mask_storeu_epi64(p + 64 * k, (__mmask8)(w->mask >> (8 * k)),
					 _mm512_load_si512(s + 64 * k));
}

static inline void gather_at(uint8_t *const *p, size_t size, void *dst)
{
	for (int k = 0; k < 4; k++) {
		__m512i a = _mm512_loadu_si512(p + 8 * k);

		if (size == 4)
			_mm256_store_si256((__m256i *)((uint8_t *)dst + 32 * k),
					   _mm512_i64gather_epi32(a, NULL, 1));
		else
			_mm512_store_si512((uint8_t *)dst + 64 * k,
					   _mm512_i64gather_epi64(a, NULL, 1));
	}
}
#define SAME(M, T)		 (sizeof(M) == sizeof(T) && sizeof(M) >= 4)
#define LOAD_PART(M, T, w, p, d) (SAME(M, T) && (load_part(w, p, sizeof(M), (uint8_t *)(d)), true))
#define STORE_PART(M, T, w, p, s)                                                                  \
	(SAME(M, T) && (store_part(w, p, sizeof(M), (const uint8_t *)(s)), true))
#define GATHER_AT(M, T, p, d) (SAME(M, T) && (gather_at(p, sizeof(M), d), true))
#else
#define LOAD_PART(M, T, w, p, d)  false
#define STORE_PART(M, T, w, p, s) false
#define GATHER_AT(M, T, p, d)	  false
#endif

#define HALF for (uint32_t i = 0; i < LANES_N / 2; i++)

/* One element per lane. Results of an access never overlap its address register. */
#define LD_ONE(name, M, T)                                                                         \
	static inline bool load_##name(W *w, IN *in)                                               \
	{                                                                                          \
		uint8_t *p[LANES_N];                                                               \
		uint32_t shape = noted(w, in, sizeof(M), p);                                       \
		T *d = DST(T, in->d);                                                              \
		M t[LANES_N];                                                                      \
		if (shape == SHAPE_FAULT)                                                          \
			shape = shape_of(w, in, sizeof(M), p);                                     \
		if (shape == SHAPE_FAULT)                                                          \
			return false;                                                              \
		BARRIER();                                                                         \
		if (shape == SHAPE_ROW && sizeof(M) == sizeof(T)) {                                \
			memcpy(d, p[0], sizeof(t));                                                \
		} else if (shape == SHAPE_ROW) {                                                   \
			memcpy(t, p[0], sizeof(t));                                                \
			LANES d[i] = (T)t[i];                                                      \
		} else if (shape == SHAPE_ONE) {                                                   \
			T v = (T) * (const volatile M *)p[0];                                      \
			LANES d[i] = v;                                                            \
		} else if (shape & SHAPE_HALVES) {                                                 \
			for (uint32_t h = 0; h < 2; h++) {                                         \
				const uint8_t *q = p[16 * h];                                      \
				T *dh = d + 16 * h;                                                \
				if (shape >> h & 1 && sizeof(M) == sizeof(T)) {                    \
					memcpy(dh, q, sizeof(t) / 2);                              \
				} else if (shape >> h & 1) {                                       \
					memcpy(t, q, sizeof(t) / 2);                               \
					HALF dh[i] = (T)t[i];                                      \
				} else {                                                           \
					T v = (T) * (const volatile M *)q;                         \
					HALF dh[i] = v;                                            \
				}                                                                  \
			}                                                                          \
		} else {                                                                           \
			if (shape == SHAPE_PART) {                                                 \
				if (LOAD_PART(M, T, w, p[0], w->regs + in->d))                     \
					goto done;                                                 \
				spread_part(w, sizeof(M), p);                                      \
			}                                                                          \
			if (!GATHER_AT(M, T, p, d))                                                \
				LANES d[i] = (T) * (const M *)p[i];                                \
		}                                                                                  \
		if (!w->full)                                                                      \
			blend(w->regs + in->d, w->scratch, w->mask, sizeof(T));                    \
done:                                                                                              \
		BARRIER();                                                                         \
		return true;                                                                       \
	}

/* Rows of 2 or 4 words, lane by lane in memory, element by element in registers. */
#ifdef __SSE2__
static inline bool load_tuples(const uint8_t *p, uint32_t n, size_t size, uint8_t *const *d)
{
	if (size == 4 && n == 4) {
		for (uint32_t i = 0; i < LANES_N; i += 4, p += 64) {
			__m128 a = _mm_loadu_ps((const float *)p),
			       b = _mm_loadu_ps((const float *)(p + 16));
			__m128 c = _mm_loadu_ps((const float *)(p + 32)),
			       e = _mm_loadu_ps((const float *)(p + 48));

			_MM_TRANSPOSE4_PS(a, b, c, e);
			_mm_store_ps((float *)d[0] + i, a);
			_mm_store_ps((float *)d[1] + i, b);
			_mm_store_ps((float *)d[2] + i, c);
			_mm_store_ps((float *)d[3] + i, e);
		}
		return true;
	}
	if (size == 4 && n == 2) {
		for (uint32_t i = 0; i < LANES_N; i += 4, p += 32) {
			__m128 a = _mm_loadu_ps((const float *)p),
			       b = _mm_loadu_ps((const float *)(p + 16));

			_mm_store_ps((float *)d[0] + i, _mm_shuffle_ps(a, b, 0x88));
			_mm_store_ps((float *)d[1] + i, _mm_shuffle_ps(a, b, 0xdd));
		}
		return true;
	}
	return false;
}

static inline bool store_tuples(uint8_t *p, uint32_t n, size_t size, const uint8_t *const *s)
{
	if (size == 4 && n == 4) {
		for (uint32_t i = 0; i < LANES_N; i += 4, p += 64) {
			__m128 a = _mm_load_ps((const float *)s[0] + i),
			       b = _mm_load_ps((const float *)s[1] + i);
			__m128 c = _mm_load_ps((const float *)s[2] + i),
			       e = _mm_load_ps((const float *)s[3] + i);

			_MM_TRANSPOSE4_PS(a, b, c, e);
			_mm_storeu_ps((float *)p, a);
			_mm_storeu_ps((float *)(p + 16), b);
			_mm_storeu_ps((float *)(p + 32), c);
			_mm_storeu_ps((float *)(p + 48), e);
		}
		return true;
	}
	if (size == 4 && n == 2) {
		for (uint32_t i = 0; i < LANES_N; i += 4, p += 32) {
			__m128 a = _mm_load_ps((const float *)s[0] + i),
			       b = _mm_load_ps((const float *)s[1] + i);

			_mm_storeu_ps((float *)p, _mm_unpacklo_ps(a, b));
			_mm_storeu_ps((float *)(p + 16), _mm_unpackhi_ps(a, b));
		}
		return true;
	}
	return false;
}
#else
#define load_tuples(p, n, size, d)  false
#define store_tuples(p, n, size, s) false
#endif

/* Pointers of all lanes, whatever the shape; lanes that do not run: the dummy, where it is no row. */
static inline void spread_shape(W *w, uint32_t shape, uint32_t size, uint8_t **p)
{
	uint8_t *low = p[0], *high = p[16], *none = w->dummy;

	if (shape == SHAPE_PART) {
		spread_part(w, size, p);
	} else if (shape == SHAPE_ROW) {
		LANES p[i] = low + (uint64_t)i * size;
	} else if (shape == SHAPE_ONE) {
		LANES p[i] = w->mask >> i & 1 ? low : none;
	} else if (shape & SHAPE_HALVES) {
		size_t a = shape & SHAPE_LOW ? size : 0, b = shape & SHAPE_HIGH ? size : 0;

		for (uint32_t i = 0; i < 16; i++) {
			p[i] = low + i * a;
			p[i + 16] = high + i * b;
		}
	}
}

#define LD_MANY(name, M, T)                                                                        \
	static inline bool loadv_##name(W *w, IN *in)                                              \
	{                                                                                          \
		uint32_t n = in->n, size = n * (uint32_t)sizeof(M), shape;                         \
		uint8_t *p[LANES_N], *to[MAX_ELEMS];                                               \
		bool all = w->full && n <= 4;                                                      \
		shape = shape_of(w, in, size, p);                                                  \
		if (shape == SHAPE_FAULT)                                                          \
			return false;                                                              \
		for (uint32_t e = 0; e < n && all; e++) {                                          \
			to[e] = w->regs + in->ext->opnd[e].off;                                    \
			all = in->ext->opnd[e].off != NO_REG;                                      \
		}                                                                                  \
		BARRIER();                                                                         \
		if (all && sizeof(M) == sizeof(T) && shape == SHAPE_ROW &&                         \
		    load_tuples(p[0], n, sizeof(M), to))                                           \
			return true;                                                               \
		if (shape != SHAPE_ONE)                                                            \
			spread_shape(w, shape, size, p);                                           \
		for (uint32_t e = 0; e < n; e++) {                                                 \
			int32_t off = in->ext->opnd[e].off;                                        \
			T *d = DST(T, off);                                                        \
			if (off == NO_REG)                                                         \
				continue;                                                          \
			if (shape == SHAPE_ONE) {                                                  \
				T v = (T)((const volatile M *)p[0])[e];                            \
				LANES d[i] = v;                                                    \
			} else {                                                                   \
				LANES d[i] = (T)((const M *)p[i])[e];                              \
			}                                                                          \
			if (!w->full)                                                              \
				blend(w->regs + off, w->scratch, w->mask, sizeof(T));              \
		}                                                                                  \
		BARRIER();                                                                         \
		return true;                                                                       \
	}

#define LD(name, M, T)                                                                             \
	LD_ONE(name, M, T)                                                                         \
	LD_MANY(name, M, T)                                                                        \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		w->polls += in->flags & INTERP_POLL ? 1 : 0;                                       \
		return (in->n == 1 ? load_##name(w, in) : loadv_##name(w, in)) ? in + 1 : NULL;    \
	}
LD(ld_8_u16, uint8_t, uint16_t)
LD(ld_8_s16, int8_t, uint16_t)
LD(ld_8_u32, uint8_t, uint32_t)
LD(ld_8_s32, int8_t, uint32_t)
LD(ld_8_u64, uint8_t, uint64_t)
LD(ld_8_s64, int8_t, uint64_t)
LD(ld_16_u16, uint16_t, uint16_t)
LD(ld_16_u32, uint16_t, uint32_t)
LD(ld_16_s32, int16_t, uint32_t)
LD(ld_16_u64, uint16_t, uint64_t)
LD(ld_16_s64, int16_t, uint64_t)
LD(ld_32_u32, uint32_t, uint32_t)
LD(ld_32_u64, uint32_t, uint64_t)
LD(ld_32_s64, int32_t, uint64_t)
LD(ld_64_u64, uint64_t, uint64_t)

/*
 * Lanes in ascending order, so that the highest wins where several write one place. All elements of
 * a lane before the next lane.
 */
#define ST_ONE(name, M, T)                                                                         \
	static inline bool store_##name(W *w, IN *in)                                              \
	{                                                                                          \
		uint8_t *p[LANES_N];                                                               \
		uint32_t shape = noted(w, in, sizeof(M), p);                                       \
		const T *s = REG(const T, in->d);                                                  \
		M t[LANES_N];                                                                      \
		if (shape == SHAPE_FAULT)                                                          \
			shape = shape_of(w, in, sizeof(M), p);                                     \
		if (shape == SHAPE_FAULT)                                                          \
			return false;                                                              \
		BARRIER();                                                                         \
		if (shape == SHAPE_ROW && sizeof(M) == sizeof(T)) {                                \
			memcpy(p[0], s, sizeof(t));                                                \
		} else if (shape == SHAPE_ROW) {                                                   \
			LANES t[i] = (M)s[i];                                                      \
			memcpy(p[0], t, sizeof(t));                                                \
		} else if (shape == SHAPE_ONE) {                                                   \
			*(volatile M *)p[0] = (M)s[31 - (uint32_t)__builtin_clz(w->mask)];         \
		} else if (shape & SHAPE_HALVES) {                                                 \
			for (uint32_t h = 0; h < 2; h++) {                                         \
				const T *sh = s + 16 * h;                                          \
				if (shape >> h & 1) {                                              \
					HALF t[i] = (M)sh[i];                                      \
					memcpy(p[16 * h], t, sizeof(t) / 2);                       \
				} else {                                                           \
					*(volatile M *)p[16 * h] = (M)sh[15];                      \
				}                                                                  \
				BARRIER();                                                         \
			}                                                                          \
		} else if (shape == SHAPE_PART && STORE_PART(M, T, w, p[0], s)) {                  \
			;                                                                          \
		} else if (shape == SHAPE_PART) {                                                  \
			for (uint32_t m = w->mask; m; m &= m - 1) {                                \
				uint32_t i = (uint32_t)__builtin_ctz(m);                           \
				((volatile M *)p[0])[i] = (M)s[i];                                 \
			}                                                                          \
		} else if (w->mask == ~0u) {                                                       \
			for (uint32_t i = 0; i < LANES_N; i++)                                     \
				*(volatile M *)p[i] = (M)s[i];                                     \
		} else {                                                                           \
			for (uint32_t m = w->mask; m; m &= m - 1) {                                \
				uint32_t i = (uint32_t)__builtin_ctz(m);                           \
				*(volatile M *)p[i] = (M)s[i];                                     \
			}                                                                          \
		}                                                                                  \
		BARRIER();                                                                         \
		return true;                                                                       \
	}

#define ST_MANY(name, M, T)                                                                        \
	static inline bool storev_##name(W *w, IN *in)                                             \
	{                                                                                          \
		uint32_t n = in->n, size = n * (uint32_t)sizeof(M), shape;                         \
		const uint8_t *from[MAX_ELEMS];                                                    \
		uint8_t *p[LANES_N];                                                               \
		shape = shape_of(w, in, size, p);                                                  \
		if (shape == SHAPE_FAULT)                                                          \
			return false;                                                              \
		for (uint32_t e = 0; e < n; e++)                                                   \
			from[e] = w->regs + in->ext->opnd[e].off;                                  \
		BARRIER();                                                                         \
		if (sizeof(M) == sizeof(T) && shape == SHAPE_ROW &&                                \
		    store_tuples(p[0], n, sizeof(M), from))                                        \
			return true;                                                               \
		spread_shape(w, shape, size, p);                                                   \
		for (uint32_t m = w->mask; m; m &= m - 1) {                                        \
			uint32_t i = (uint32_t)__builtin_ctz(m);                                   \
			M *q = (M *)p[i];                                                          \
			for (uint32_t e = 0; e < n; e++)                                           \
				q[e] = (M)((const T *)from[e])[i];                                 \
		}                                                                                  \
		BARRIER();                                                                         \
		return true;                                                                       \
	}

#define ST(name, M, T)                                                                             \
	ST_ONE(name, M, T)                                                                         \
	ST_MANY(name, M, T)                                                                        \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		return (in->n == 1 ? store_##name(w, in) : storev_##name(w, in)) ? in + 1 : NULL;  \
	}
ST(st_8_16, uint8_t, uint16_t)
ST(st_8_32, uint8_t, uint32_t)
ST(st_8_64, uint8_t, uint64_t)
ST(st_16_16, uint16_t, uint16_t)
ST(st_16_32, uint16_t, uint32_t)
ST(st_16_64, uint16_t, uint64_t)
ST(st_32_32, uint32_t, uint32_t)
ST(st_32_64, uint32_t, uint64_t)
ST(st_64_64, uint64_t, uint64_t)
