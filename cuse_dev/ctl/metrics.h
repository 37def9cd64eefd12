/* SPDX-License-Identifier: MIT */
/* metrics.h - numbers for Prometheus: written by metrics.c, served over HTTP by http.c. */
#ifndef CTL_METRICS_H
#define CTL_METRICS_H

#include "cuse_dev/ctl/ctl.h"

/** metrics_write() - all of them to @f; when the daemon does not answer, that alone, and the code. */
int metrics_write(const struct ctl *ctl, bool per_client, FILE *f);

/** metrics_serve() - on "127.0.0.1:9400" or "[::1]:9400" until SIGTERM or SIGINT; an exit code. */
int metrics_serve(const struct ctl *ctl, bool per_client, const char *address);

#endif
