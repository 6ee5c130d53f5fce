/* The rules behind every list of `answers`: what an answer means where its connector says nothing.
 */
#include "protocol/connector/parts.h"

static const struct status_range accepted[] = {{200, 299}};
static const struct status_range busy[] = {{429, 429}, {503, 503}};
static const struct status_range failed[] = {{408, 408}, {500, 599}};
static const struct status_range refused_token[] = {{401, 401}};
static const struct status_range wrong_address[] = {{300, 399}, {403, 405}, {407, 407}, {410, 410}};
static const struct status_range refused[] = {{400, 499}};
static const struct delay_reader retry_after[] = {
    {.kind = READ_HEADER, .header = "Retry-After", .unit = UNIT_RETRY_AFTER},
};

#define STATUSES(list) .when = {.statuses = (list), .status_count = ARRAY_LEN(list), .step = -1}
const struct rule default_rules[] = {
    {.when = {.answer = ANSWER_UNSENT, .step = -1}, .act = DO_RETRY, .unsure_set = true},
    {.when = {.answer = ANSWER_NONE, .step = -1},
     .act = DO_RETRY,
     .unsure_set = true,
     .unsure = true},
    {STATUSES(accepted), .act = DO_OK},
    {STATUSES(busy), .act = DO_THROTTLE, .wait = {retry_after, ARRAY_LEN(retry_after)}},
    {STATUSES(failed), .act = DO_RETRY},
    {STATUSES(refused_token), .act = DO_AUTH},
    {STATUSES(wrong_address), .act = DO_HALT},
    {STATUSES(refused), .act = DO_SPLIT},
    {.when = {.step = -1}, .act = DO_RETRY},
};
const size_t default_rule_count = ARRAY_LEN(default_rules);
const struct rule_list default_rule_list = {.rules = default_rules,
                                            .count = ARRAY_LEN(default_rules)};
