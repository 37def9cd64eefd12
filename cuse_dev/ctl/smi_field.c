/* SPDX-License-Identifier: MIT */
/* smi_field.c - the fields of smi_field.def: their values, and lists of them as CSV. */
#include <string.h>
#include <time.h>

#include "cuse_dev/ctl/smi.h"

#define TEXT_BYTES 320

/* ---- values --------------------------------------------------------------------------------- */

static const char *stamp(char text[TEXT_BYTES])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	n = strftime(text, TEXT_BYTES, "%Y/%m/%d %H:%M:%S", &tm);
	snprintf(text + n, TEXT_BYTES - n, ".%03d", (int)(now.tv_nsec / 1000000));
	return text;
}

static const char *uuid(const struct smi_gpu *g, char text[TEXT_BYTES])
{
	smi_uuid(g, text);
	return text;
}

static const char *bus_id(const struct smi_gpu *g, char text[TEXT_BYTES])
{
	smi_bus_id(g, text);
	return text;
}

static unsigned long long mib(uint64_t bytes)
{
	return bytes >> 20;
}

static unsigned percent(uint32_t hundredths)
{
	return (hundredths + 50) / 100;
}

static unsigned degrees(uint32_t thousandths)
{
	return (thousandths + 500) / 1000;
}

static unsigned idle(const struct smi_gpu *g)
{
	return !g->state.contexts && !g->state.util_kernel;
}

static const char *active(unsigned is)
{
	return is ? "Active" : "Not Active";
}

/* Cards of these chips can be cut into instances; here they are whole. */
static bool has_mig(const struct smi_gpu *g)
{
	return g->info.cc_major >= 8 && g->info.cc_major < 12 && g->info.cc_minor == 0;
}

#define GETTER(id, known, ...)                                                                     \
	static bool get_##id(const struct smi *smi, const struct smi_gpu *g, char *buf,            \
			     size_t size)                                                          \
	{                                                                                          \
		const struct vgpu_device_info *i __attribute__((unused)) = &g->info;               \
		const struct vgpu_board_info *b __attribute__((unused)) = &g->board;               \
		const struct vgpu_device_state *s __attribute__((unused)) = &g->state;             \
		char text[TEXT_BYTES] __attribute__((unused));                                     \
                                                                                                   \
		if (!(known))                                                                      \
			return false;                                                              \
		snprintf(buf, size, __VA_ARGS__);                                                  \
		return true;                                                                       \
	}
#define FIELD(id, name, alias, unit, known, help, ...) GETTER(id, known, __VA_ARGS__)
#define LOG_FIELD(id, name, unit, known, ...)	       GETTER(id, known, __VA_ARGS__)
#include "cuse_dev/ctl/smi_field.def"

static bool get_none(const struct smi *smi, const struct smi_gpu *g, char *buf, size_t size)
{
	return false;
}

static const struct smi_field fields[] = {
#define FIELD(id, name, alias, unit, known, help, ...) { name, alias, unit, get_##id, help },
#define LOG_FIELD(id, name, unit, known, ...)	       { name, NULL, unit, get_##id, NULL },
#define NO_FIELD(id, name, alias, help)		       { name, alias, NULL, get_none, help },
#include "cuse_dev/ctl/smi_field.def"
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static bool is(const char *name, const char *text, size_t n)
{
	return name && !strncmp(name, text, n) && !name[n];
}

const struct smi_field *smi_field(const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < FIELD_COUNT; i++) {
		if (is(fields[i].name, name, n) || is(fields[i].alias, name, n))
			return &fields[i];
	}
	return NULL;
}

void smi_field_help(void)
{
	size_t i;

	printf("Fields of --query-gpu, separated by commas:\n\n");
	for (i = 0; i < FIELD_COUNT; i++) {
		if (!fields[i].help)
			continue;
		if (fields[i].alias)
			printf("\"%s\" or \"%s\"\n", fields[i].name, fields[i].alias);
		else
			printf("\"%s\"\n", fields[i].name);
		printf("    %s\n", fields[i].help);
	}
}

/* ---- CSV ------------------------------------------------------------------------------------ */

/* The next name of a list, its blanks cut off; false at its end. */
static bool next_name(const char **list, const char **ret_name, size_t *ret_n)
{
	const char *p = *list;
	size_t n;

	if (!p)
		return false;
	p += strspn(p, " ");
	n = strcspn(p, ",");
	*list = p[n] ? p + n + 1 : NULL;
	while (n && p[n - 1] == ' ')
		n--;
	*ret_name = p;
	*ret_n = n;
	return true;
}

static int invalid(const char *name, size_t n)
{
	fprintf(stderr, "Field \"%.*s\" is not a valid field to query.\n", (int)n, name);
	return SMI_USAGE;
}

static void header(const char *name, const char *unit, const struct smi_format *f, bool *first)
{
	printf("%s%s", *first ? "" : ", ", name);
	if (unit && f->units)
		printf(" [%s]", unit);
	*first = false;
}

static void cell(bool known, const char *text, const char *unit, const struct smi_format *f,
		 bool *first)
{
	printf("%s%s", *first ? "" : ", ", known ? text : "[N/A]");
	if (known && unit && f->units)
		printf(" %s", unit);
	*first = false;
}

static int check_fields(const char *list)
{
	const struct smi_field *field;
	const char *name;
	size_t n;

	while (next_name(&list, &name, &n)) {
		field = smi_field(name, n);
		if (!field || !field->help)
			return invalid(name, n);
	}
	return SMI_OK;
}

static void print_gpu(const struct smi *smi, const struct smi_gpu *g, const char *list,
		      const struct smi_format *f)
{
	const struct smi_field *field;
	char text[TEXT_BYTES];
	const char *name;
	bool first = true;
	size_t n;

	while (next_name(&list, &name, &n)) {
		field = smi_field(name, n);
		cell(field->get(smi, g, text, sizeof(text)), text, field->unit, f, &first);
	}
	printf("\n");
}

int smi_csv_gpus(const struct smi *smi, const char *list, const struct smi_format *f, bool first)
{
	const char *at = list, *name;
	bool begin = true;
	uint32_t i;
	size_t n;
	int r = check_fields(list);

	if (r)
		return r;
	if (first && f->header) {
		while (next_name(&at, &name, &n))
			header(smi_field(name, n)->name, smi_field(name, n)->unit, f, &begin);
		printf("\n");
	}
	for (i = 0; i < smi->count; i++) {
		if (smi->gpu[i].chosen)
			print_gpu(smi, &smi->gpu[i], list, f);
	}
	return SMI_OK;
}

/* ---- processes ------------------------------------------------------------------------------ */

static void app_pid(const struct vgpu_client_entry *e, char *text)
{
	snprintf(text, TEXT_BYTES, "%u", e->pid);
}

static void app_name(const struct vgpu_client_entry *e, char *text)
{
	snprintf(text, TEXT_BYTES, "%s", *e->name ? e->name : "[Not Found]");
}

static void app_memory(const struct vgpu_client_entry *e, char *text)
{
	snprintf(text, TEXT_BYTES, "%llu", mib(e->mem_used));
}

static const struct app_field {
	const char *name, *alias, *unit;
	void (*get)(const struct vgpu_client_entry *e, char *text); /* NULL: of the device */
} app_fields[] = {
	{ "timestamp", NULL, NULL, NULL },
	{ "gpu_name", NULL, NULL, NULL },
	{ "gpu_bus_id", NULL, NULL, NULL },
	{ "gpu_serial", NULL, NULL, NULL },
	{ "gpu_uuid", NULL, NULL, NULL },
	{ "pid", NULL, NULL, app_pid },
	{ "process_name", "name", NULL, app_name },
	{ "used_gpu_memory", "used_memory", "MiB", app_memory },
};

static const struct app_field *app_field(const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < sizeof(app_fields) / sizeof(app_fields[0]); i++) {
		if (is(app_fields[i].name, name, n) || is(app_fields[i].alias, name, n))
			return &app_fields[i];
	}
	return NULL;
}

static void print_app(const struct smi *smi, const struct smi_gpu *g,
		      const struct vgpu_client_entry *e, const char *list,
		      const struct smi_format *f)
{
	const struct app_field *field;
	char text[TEXT_BYTES];
	const char *name;
	bool first = true, known;
	size_t n;

	while (next_name(&list, &name, &n)) {
		field = app_field(name, n);
		known = true;
		if (field->get)
			field->get(e, text);
		else
			known = smi_field(name, n)->get(smi, g, text, sizeof(text));
		cell(known, text, field->unit, f, &first);
	}
	printf("\n");
}

int smi_csv_apps(const struct smi *smi, const char *list, const struct smi_format *f, bool first)
{
	const char *at = list, *name;
	bool begin = true;
	uint32_t i, k;
	size_t n;

	while (next_name(&at, &name, &n)) {
		if (!app_field(name, n))
			return invalid(name, n);
	}
	at = list;
	if (first && f->header) {
		while (next_name(&at, &name, &n))
			header(app_field(name, n)->name, app_field(name, n)->unit, f, &begin);
		printf("\n");
	}
	for (i = 0; i < smi->count; i++) {
		for (k = 0; smi->gpu[i].chosen && k < smi->gpu[i].client_count; k++)
			print_app(smi, &smi->gpu[i], &smi->gpu[i].client[k], list, f);
	}
	return SMI_OK;
}
