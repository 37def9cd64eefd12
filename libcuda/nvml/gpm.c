/* SPDX-License-Identifier: MIT */
/*
 * gpm.c - GPU performance monitoring: the difference of two samples that the caller took.
 *
 * A sample is the device's state with its totals. What the daemon counts gives four metrics; all the
 * others are counters inside the chip, which nobody here has.
 */
#include <stdlib.h>

#include "libcuda/nvml/nv.h"

/** struct nvmlGpmSample_st - allocated and freed by the caller's calls */
struct nvmlGpmSample_st {
	nvmlDevice_t device; /* NULL: nothing was sampled yet */
	struct vgpu_device_state state;
};

/* Cards have it from Hopper on. */
static bool has_gpm(nvmlDevice_t device)
{
	return nv_arch(device) != NVML_DEVICE_ARCH_UNKNOWN &&
	       nv_arch(device) >= NVML_DEVICE_ARCH_HOPPER;
}

nvmlReturn_t answer_nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *gpmSupport)
{
	NV_NEED(gpmSupport);
	if (gpmSupport->version != NVML_GPM_SUPPORT_VERSION)
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	gpmSupport->isSupportedDevice = has_gpm(device);
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlGpmSampleAlloc(nvmlGpmSample_t *gpmSample)
{
	NV_NEED(gpmSample);
	*gpmSample = calloc(1, sizeof(**gpmSample));
	return *gpmSample ? NVML_SUCCESS : NVML_ERROR_MEMORY;
}

nvmlReturn_t answer_nvmlGpmSampleFree(nvmlGpmSample_t gpmSample)
{
	NV_NEED(gpmSample);
	free(gpmSample);
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t gpmSample)
{
	nvmlReturn_t r;

	NV_NEED(gpmSample);
	if (!has_gpm(device))
		return NVML_ERROR_NOT_SUPPORTED;
	r = nv_state(device, &gpmSample->state);
	gpmSample->device = r == NVML_SUCCESS ? device : NULL;
	return r;
}

#define MIB (1024.0 * 1024.0)

static double percent(uint64_t busy, double ns)
{
	double p = 100.0 * (double)busy / ns;

	return p < 100.0 ? p : 100.0;
}

static void measure(const struct vgpu_device_state *a, const struct vgpu_device_state *b,
		    nvmlGpmMetric_t *m)
{
	double ns = (double)(b->now_ns - a->now_ns);

	m->nvmlReturn = NVML_SUCCESS;
	switch (m->metricId) {
	case NVML_GPM_METRIC_GRAPHICS_UTIL:
		m->value = percent(b->busy_ns - a->busy_ns, ns);
		m->metricInfo.shortName = "gract";
		m->metricInfo.longName = "Graphics Activity";
		m->metricInfo.unit = "%";
		break;
	case NVML_GPM_METRIC_SM_UTIL:
		m->value = percent(b->busy_ns - a->busy_ns, ns);
		m->metricInfo.shortName = "smact";
		m->metricInfo.longName = "SM Activity";
		m->metricInfo.unit = "%";
		break;
	case NVML_GPM_METRIC_PCIE_TX_PER_SEC:
		m->value = (double)(b->out_bytes - a->out_bytes) / MIB * 1e9 / ns;
		m->metricInfo.shortName = "pcitx";
		m->metricInfo.longName = "PCIe TX";
		m->metricInfo.unit = "MiB/s";
		break;
	case NVML_GPM_METRIC_PCIE_RX_PER_SEC:
		m->value = (double)(b->in_bytes - a->in_bytes) / MIB * 1e9 / ns;
		m->metricInfo.shortName = "pcirx";
		m->metricInfo.longName = "PCIe RX";
		m->metricInfo.unit = "MiB/s";
		break;
	default:
		m->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
	}
}

nvmlReturn_t answer_nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *metricsGet)
{
	nvmlGpmSample_t a, b;

	NV_NEED(metricsGet);
	if (metricsGet->version != NVML_GPM_METRICS_GET_VERSION)
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	a = metricsGet->sample1;
	b = metricsGet->sample2;
	NV_NEED(a && b && a->device && a->device == b->device);
	/* Totals only grow, but for a daemon that was restarted in between. */
	NV_NEED(b->state.now_ns > a->state.now_ns && b->state.busy_ns >= a->state.busy_ns &&
		b->state.in_bytes >= a->state.in_bytes && b->state.out_bytes >= a->state.out_bytes);
	NV_NEED(metricsGet->numMetrics <= NVML_GPM_METRIC_MAX);
	for (unsigned int i = 0; i < metricsGet->numMetrics; i++)
		measure(&a->state, &b->state, &metricsGet->metrics[i]);
	return NVML_SUCCESS;
}
