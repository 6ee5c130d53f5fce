/* The table of routes: what may be asked, by which method, by whom, and who answers. */
#ifndef SLUICE_API_ROUTES_H
#define SLUICE_API_ROUTES_H

#include "scheduler/api/call.h"

enum route_access { ACCESS_OPEN, ACCESS_VIEWER, ACCESS_OPERATOR, ACCESS_ADMIN };

struct route {
    enum evhttp_cmd_type method; /* GET answers HEAD as well */
    const char *path;            /* "/api/v1/runs/{id}" */
    enum route_access access;
    void (*answer)(struct api_call *c);
};

extern const struct route routes[];
extern const size_t route_count;

/** The route of the call, its arguments set; NULL where there is none. ret_methods: those that the
 * path has, as bits of enum evhttp_cmd_type; 0: there is no such path. */
const struct route *route_find(struct api_call *c, unsigned *ret_methods);

/* Those who answer, by file. */
/* answer_system.c */
void answer_healthz(struct api_call *c);
void answer_readyz(struct api_call *c);
void answer_metrics(struct api_call *c);
void answer_status(struct api_call *c);
void answer_login(struct api_call *c);
void answer_logout(struct api_call *c);
void answer_reload(struct api_call *c);
void answer_audit(struct api_call *c);
/* answer_workers.c */
void answer_workers_desired(struct api_call *c);
/* answer_pages.c */
void answer_index(struct api_call *c);
void answer_page(struct api_call *c);
void answer_openapi(struct api_call *c);
/* answer_syncs.c */
void answer_syncs(struct api_call *c);
void answer_sync(struct api_call *c);
void answer_sync_run(struct api_call *c);
void answer_sync_pause(struct api_call *c);
void answer_sync_resume(struct api_call *c);
void answer_sync_retry(struct api_call *c);
/* answer_runs.c */
void answer_runs(struct api_call *c);
void answer_runs_start(struct api_call *c);
void answer_run(struct api_call *c);
void answer_run_batches(struct api_call *c);
void answer_run_cancel(struct api_call *c);
void answer_run_approve(struct api_call *c);
void answer_run_reject(struct api_call *c);
/* answer_plan.c */
void answer_run_plan(struct api_call *c);
/* answer_errors.c */
void answer_errors(struct api_call *c);
void answer_error_records(struct api_call *c);
/* answer_record.c */
void answer_record(struct api_call *c);
/* answer_request.c */
void answer_request(struct api_call *c);
/* answer_destinations.c */
void answer_destinations(struct api_call *c);
void answer_destination_pause(struct api_call *c);
void answer_destination_resume(struct api_call *c);
/* streams.c */
void answer_events(struct api_call *c);

#endif
