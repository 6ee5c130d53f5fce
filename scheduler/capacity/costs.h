/* What things cost, as bench/capacity measured it: made by `bench/capacity --write`, with the table
 * of deploy/CAPACITY.md. X(name, value). */
#ifndef SLUICE_CAPACITY_COSTS_H
#define SLUICE_CAPACITY_COSTS_H

/* clang-format off */
#define CAPACITY_COSTS(X) \
    X(worker_request_us, 47) \
    X(worker_record_us, 0.17) \
    X(worker_kib_us, 2.82) \
    X(worker_https_request_us, 93) \
    X(worker_https_kib_us, 1.02) \
    X(worker_handshake_us, 865) \
    X(worker_idle_us, 216) \
    X(worker_memory_kib, 7952) \
    X(scheduler_unchanged_us, 0.425) \
    X(scheduler_sent_us, 1.15) \
    X(scheduler_batch_us, 19) \
    X(scheduler_quota_us, 120) \
    X(scheduler_row_bits, 2.4) \
    X(scheduler_memory_kib, 2171) \
    X(state_row_bytes, 89) \
    X(spool_record_bytes, 73) \
    X(redis_batch_us, 109) \
    X(redis_kib_us, 3.32) \
    X(redis_quota_us, 141) \
    X(redis_worker_us, 412) \
    X(redis_permit_us, 65) \
    X(redis_results_us, 0.8) \
    X(redis_ask_us, 42) \
    X(redis_wait_us, 13) \
    X(redis_queued_bytes, 1353) \
    X(redis_token_bytes, 116) \
    X(redis_quota_bytes, 2586) \
    X(redis_memory_kib, 1161) \
    X(redis_batch_net_bytes, 1423) \
    X(payload_body_ratio, 0.184)
/* clang-format on */

#endif
