/* SPDX-License-Identifier: MIT */
/*
 * smi.c - "vgpuctl smi", also under the name nvidia-smi where the machine has none: what scripts ask
 * that for, in its words.
 *
 * Only questions. What would set something on a card is refused, since there is nothing to set.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuse_dev/ctl/ctl.h"
#include "cuse_dev/ctl/smi.h"

#define LOOP_DEFAULT_MS 5000

struct options {
	const char *id, *gpus, *apps, *format, *display, *file;
	bool list, log, xml, help, version, help_gpus, help_apps, complete, loop;
	uint64_t loop_ms;
};

/* Whether an option takes a value: "-i 0", "-i=0", "--id=0", "--id 0". */
enum takes { NOTHING, VALUE, MAYBE };

static const struct option {
	const char *name, *longer;
	enum takes takes;
	size_t place; /* in struct options: a bool (NOTHING), a text (VALUE); MAYBE: milliseconds of 1 */
} options[] = {
	{ "-L", "--list-gpus", NOTHING, offsetof(struct options, list) },
	{ "-q", "--query", NOTHING, offsetof(struct options, log) },
	{ "-x", "--xml-format", NOTHING, offsetof(struct options, xml) },
	{ "-h", "--help", NOTHING, offsetof(struct options, help) },
	{ NULL, "--version", NOTHING, offsetof(struct options, version) },
	{ NULL, "--help-query-gpu", NOTHING, offsetof(struct options, help_gpus) },
	{ NULL, "--help-query-compute-apps", NOTHING, offsetof(struct options, help_apps) },
	{ NULL, "--complete", NOTHING, offsetof(struct options, complete) }, /* for shells */
	{ "-i", "--id", VALUE, offsetof(struct options, id) },
	{ "-d", "--display", VALUE, offsetof(struct options, display) },
	{ "-f", "--filename", VALUE, offsetof(struct options, file) },
	{ NULL, "--format", VALUE, offsetof(struct options, format) },
	{ NULL, "--query-gpu", VALUE, offsetof(struct options, gpus) },
	{ NULL, "--query-compute-apps", VALUE, offsetof(struct options, apps) },
	{ "-l", "--loop", MAYBE, 1000 },
	{ "-lms", "--loop-ms", MAYBE, 1 },
};

static const char help_text[] =
	"Usage: vgpuctl smi [OPTION]...\n       nvidia-smi [OPTION]...\n\n"
	"Looks at the virtual GPUs in the words of NVIDIA's program of that name. Without an\n"
	"option, a table of devices and processes.\n\n"
	"  -L, --list-gpus              names and UUIDs\n"
	"  -q, --query                  everything\n"
	"  -d, --display=GROUP,...      of that, MEMORY, UTILIZATION, ECC, TEMPERATURE, POWER, "
	"CLOCK,\n"
	"                               COMPUTE, PERFORMANCE, PIDS\n"
	"  -x, --xml-format             of that, as XML\n"
	"  --query-gpu=FIELD,...        these fields; --help-query-gpu lists them\n"
	"  --query-compute-apps=FIELD,...  of processes; --help-query-compute-apps lists them\n"
	"  --format=csv[,noheader][,nounits]  for both\n"
	"  -i, --id=DEVICE,...          number, UUID, or PCI bus id\n"
	"  -l, --loop[=SECONDS]         again and again; -lms, --loop-ms=MILLISECONDS\n"
	"  -f, --filename=FILE          into a file\n"
	"  --version\n\n"
	"Whatever it says comes from the daemon of vgpu-cuse; see vgpuctl(8).\n";

/* ---- arguments ------------------------------------------------------------------------------ */

static int wrong(const char *what, const char *word)
{
	fprintf(stderr, "%s \"%s\". Please run 'nvidia-smi -h' for help.\n", what, word);
	return SMI_USAGE;
}

static const struct option *find(const char *word, const char **ret_value)
{
	const char *equals = strchr(word, '=');
	size_t n = equals ? (size_t)(equals - word) : strlen(word), i;

	*ret_value = equals ? equals + 1 : NULL;
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option *o = &options[i];

		if ((o->name && !strncmp(o->name, word, n) && !o->name[n]) ||
		    (!strncmp(o->longer, word, n) && !o->longer[n]))
			return o;
	}
	return NULL;
}

static int set_loop(struct options *to, const char *value, uint64_t unit)
{
	uint64_t n = LOOP_DEFAULT_MS / unit;

	if (value && (!ctl_number(value, 1000000000, &n) || !n))
		return wrong("Not a time:", value);
	to->loop = true;
	to->loop_ms = n * unit;
	return SMI_OK;
}

static int parse(struct options *to, int argc, char **argv)
{
	const struct option *o;
	const char *value;
	int i, r;

	for (i = 1; i < argc; i++) {
		o = find(argv[i], &value);
		if (!o)
			return wrong("Invalid argument", argv[i]);
		if (o->takes == NOTHING) {
			if (value)
				return wrong("No value is wanted:", argv[i]);
			*(bool *)((char *)to + o->place) = true;
			continue;
		}
		if (!value && i + 1 < argc && (o->takes == VALUE || *argv[i + 1] != '-'))
			value = argv[++i];
		if (!value && o->takes == VALUE)
			return wrong("A value is missing:", argv[i]);
		if (o->takes == VALUE) {
			*(const char **)((char *)to + o->place) = value;
			continue;
		}
		r = set_loop(to, value, o->place);
		if (r)
			return r;
	}
	return SMI_OK;
}

static int parse_format(const char *text, struct smi_format *ret_format)
{
	char copy[128], *word, *save = NULL;
	bool csv = false;

	if (!text) {
		fprintf(stderr, "\"--format=\" is missing. Please run 'nvidia-smi -h' for help.\n");
		return SMI_USAGE;
	}
	*ret_format = (struct smi_format){ .header = true, .units = true };
	snprintf(copy, sizeof(copy), "%s", text);
	for (word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
		if (!strcmp(word, "csv"))
			csv = true;
		else if (!strcmp(word, "noheader"))
			ret_format->header = false;
		else if (!strcmp(word, "nounits"))
			ret_format->units = false;
		else
			return wrong("Not a format:", word);
	}
	return csv ? SMI_OK : wrong("There is csv, not", text);
}

static int check(const struct options *o)
{
	int ways = o->list + o->log + (o->gpus != NULL) + (o->apps != NULL);

	if (ways > 1 || ((o->display || o->xml) && !o->log) ||
	    (o->format && !o->gpus && !o->apps)) {
		fprintf(stderr, "Invalid combination of input arguments. Please run 'nvidia-smi "
				"-h' for help.\n");
		return SMI_USAGE;
	}
	return SMI_OK;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void list(const struct smi *smi)
{
	char uuid[48];
	uint32_t i;

	for (i = 0; i < smi->count; i++) {
		if (!smi->gpu[i].chosen)
			continue;
		smi_uuid(&smi->gpu[i], uuid);
		printf("GPU %u: %s (UUID: %s)\n", smi->gpu[i].number, smi->gpu[i].info.name, uuid);
	}
}

static void version(const struct smi *smi)
{
	const struct vgpu_hello *h = &smi->gpu[0].hello;

	printf("NVIDIA-SMI version  : %s\nDRIVER version      : %s\nCUDA Version        : %u.%u\n"
	       "program             : vgpuctl %d.%d, not NVIDIA's\n",
	       h->driver_string, h->driver_string, h->driver_version / 1000,
	       h->driver_version % 1000 / 10, VGPU_VERSION_MAJOR, VGPU_VERSION_MINOR);
}

static int answer(const struct smi *smi, const struct options *o, const struct smi_format *f,
		  bool first)
{
	if (o->gpus)
		return smi_csv_gpus(smi, o->gpus, f, first);
	if (o->apps)
		return smi_csv_apps(smi, o->apps, f, first);
	if (o->log)
		return smi_log(smi, o->display, o->xml);
	if (o->list)
		list(smi);
	else if (o->version)
		version(smi);
	else
		smi_table(smi);
	return SMI_OK;
}

static int rounds(struct smi *smi, const struct options *o)
{
	const struct timespec pause = { .tv_sec = (time_t)(o->loop_ms / 1000),
					.tv_nsec = (long)(o->loop_ms % 1000) * 1000000 };
	struct smi_format format = { 0 };
	bool first = true;
	int r = o->gpus || o->apps ? parse_format(o->format, &format) : SMI_OK;

	if (!r)
		r = smi_choose(smi, o->id);
	while (!r) {
		r = smi_read(smi);
		if (!r)
			r = answer(smi, o, &format, first);
		if (fflush(stdout) == EOF && !r)
			r = SMI_OTHER; /* nobody reads it any more */
		if (r || !o->loop)
			break;
		first = false;
		nanosleep(&pause, NULL);
	}
	return r;
}

static void complete(void)
{
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		printf("%s%s\n", options[i].longer, options[i].takes == VALUE ? "=" : "");
}

static int help(const struct options *o)
{
	if (o->complete)
		complete();
	else if (o->help_gpus)
		smi_field_help();
	else if (o->help_apps)
		printf("Fields of --query-compute-apps, separated by commas:\n\n\"timestamp\"\n"
		       "\"gpu_name\"\n\"gpu_bus_id\"\n\"gpu_serial\"\n\"gpu_uuid\"\n\"pid\"\n"
		       "\"process_name\" or \"name\"\n\"used_gpu_memory\" or \"used_memory\"\n");
	else
		printf("%s", help_text);
	return SMI_OK;
}

static int smi_main(int argc, char **argv)
{
	struct options o = { 0 };
	struct smi *smi;
	int r = parse(&o, argc, argv);

	if (!r)
		r = check(&o);
	if (r)
		return r;
	if (o.help || o.help_gpus || o.help_apps || o.complete)
		return help(&o);
	if (o.file && !freopen(o.file, "we", stdout)) {
		fprintf(stderr, "%s: %s\n", o.file, strerror(errno));
		return SMI_OTHER;
	}
	smi = calloc(1, sizeof(*smi));
	if (!smi)
		return SMI_OTHER;
	r = smi_open(smi);
	if (!r)
		r = rounds(smi, &o);
	smi_close(smi);
	free(smi);
	return r;
}

const struct ctl_command ctl_command_smi = {
	.name = "smi",
	.arguments = "[OPTION]...",
	.summary = "Answer as nvidia-smi does, for machines that have none",
	.raw = smi_main,
};
