#include "scheduler/api/routes.h"

#define GET EVHTTP_REQ_GET
#define POST EVHTTP_REQ_POST

const struct route routes[] = {
    {GET, "/", ACCESS_OPEN, answer_index},
    {GET, "/assets/{name}", ACCESS_OPEN, answer_page},
    {GET, "/healthz", ACCESS_OPEN, answer_healthz},
    {GET, "/readyz", ACCESS_OPEN, answer_readyz},
    {GET, "/metrics", ACCESS_VIEWER, answer_metrics},
    {GET, "/api/v1/openapi.json", ACCESS_OPEN, answer_openapi},
    {POST, "/api/v1/login", ACCESS_OPEN, answer_login},
    {POST, "/api/v1/logout", ACCESS_OPEN, answer_logout},
    {GET, "/api/v1/status", ACCESS_VIEWER, answer_status},
    {GET, "/api/v1/syncs", ACCESS_VIEWER, answer_syncs},
    {GET, "/api/v1/syncs/{name}", ACCESS_VIEWER, answer_sync},
    {POST, "/api/v1/syncs/{name}/run", ACCESS_OPERATOR, answer_sync_run},
    {POST, "/api/v1/syncs/{name}/pause", ACCESS_OPERATOR, answer_sync_pause},
    {POST, "/api/v1/syncs/{name}/resume", ACCESS_OPERATOR, answer_sync_resume},
    {POST, "/api/v1/syncs/{name}/retry", ACCESS_OPERATOR, answer_sync_retry},
    {GET, "/api/v1/runs", ACCESS_VIEWER, answer_runs},
    {POST, "/api/v1/runs", ACCESS_OPERATOR, answer_runs_start},
    {GET, "/api/v1/runs/{id}", ACCESS_VIEWER, answer_run},
    {GET, "/api/v1/runs/{id}/batches", ACCESS_VIEWER, answer_run_batches},
    {GET, "/api/v1/runs/{id}/plan", ACCESS_OPERATOR, answer_run_plan},
    {POST, "/api/v1/runs/{id}/cancel", ACCESS_OPERATOR, answer_run_cancel},
    {POST, "/api/v1/runs/{id}/approve", ACCESS_OPERATOR, answer_run_approve},
    {POST, "/api/v1/runs/{id}/reject", ACCESS_OPERATOR, answer_run_reject},
    {GET, "/api/v1/errors", ACCESS_VIEWER, answer_errors},
    {GET, "/api/v1/errors/records", ACCESS_VIEWER, answer_error_records},
    {GET, "/api/v1/records", ACCESS_VIEWER, answer_record},
    {GET, "/api/v1/records/request", ACCESS_OPERATOR, answer_request},
    {GET, "/api/v1/destinations", ACCESS_VIEWER, answer_destinations},
    {POST, "/api/v1/destinations/{name}/pause", ACCESS_OPERATOR, answer_destination_pause},
    {POST, "/api/v1/destinations/{name}/resume", ACCESS_OPERATOR, answer_destination_resume},
    {GET, "/api/v1/workers/desired", ACCESS_VIEWER, answer_workers_desired},
    {GET, "/api/v1/audit", ACCESS_ADMIN, answer_audit},
    {POST, "/api/v1/reload", ACCESS_ADMIN, answer_reload},
    {GET, "/api/v1/events", ACCESS_VIEWER, answer_events},
};
const size_t route_count = ARRAY_LEN(routes);

static bool matches(const struct route *route, struct api_call *c)
{
    const char *at = route->path + 1;
    size_t arguments = 0;
    for (size_t i = 0; i < c->target.segment_count; i++) {
        size_t n = strcspn(at, "/");
        if (!n)
            return false;
        if (*at == '{' && *c->target.segments[i])
            c->arguments[arguments++] = c->target.segments[i];
        else if (!slice_eq_str(slice_of(at, n), c->target.segments[i]))
            return false;
        at += n;
        at += *at == '/';
    }
    return !*at;
}

const struct route *route_find(struct api_call *c, unsigned *ret_methods)
{
    enum evhttp_cmd_type wanted = c->method == EVHTTP_REQ_HEAD ? GET : c->method;
    const struct route *found = NULL;
    *ret_methods = 0;
    for (size_t i = 0; i < route_count; i++) {
        if (!matches(&routes[i], c))
            continue;
        *ret_methods |= routes[i].method;
        if (routes[i].method == wanted) {
            found = &routes[i];
            break;
        }
    }
    return found;
}
