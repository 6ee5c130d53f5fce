/* A destination as configured in a project of a test's own, driven by hand: render a batch, judge
 * an answer. */
#ifndef SLUICE_TESTS_WORKER_THERE_H
#define SLUICE_TESTS_WORKER_THERE_H

#include "tests/unit/config/folder.h"
#include "tests/unit/worker/sample.h"
#include "worker/deliver/driver.h"

struct there {
    struct folder folder;
    const struct driver *driver;
    void *state;
    struct buf payload;
    struct batch_reader *reader;
    struct delivery delivery; /* its part is "batch-7-00ff", its attempt 3 */
    struct rendered rendered;
};

/** destination: the value of `destinations: {hook: …}`; more: further top-level YAML, or NULL. The
 * driver's own open may fail: state is NULL then and err says why. */
enum err_code there_open(struct there *t, const char *destination, const char *more,
                         struct err *err) MUST_CHECK;
void there_close(struct there *t);
/** Seals the records, and renders what comes next for them by delivery.progress. */
enum err_code there_render(struct there *t, const struct sample_head *h,
                           const struct record *records, uint32_t count, struct err *err);
/** Of the request that was rendered last; fails the test where it cannot be judged. */
struct outcome there_judge(struct there *t, const struct http_answer *answer);

#endif
