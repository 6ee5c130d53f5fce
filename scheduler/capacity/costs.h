/* What things cost, as bench/capacity measured it: made by `bench/capacity --write`, with the table
 * of deploy/CAPACITY.md. X(name, value). */
#ifndef SLUICE_CAPACITY_COSTS_H
#define SLUICE_CAPACITY_COSTS_H

/* clang-format off */
#define CAPACITY_COSTS(X) \
    X(worker_request_us, 27) \
    X(worker_record_us, 0.01) \
    X(worker_kib_us, 2.02) \
    X(worker_https_request_us, 23) \
    X(worker_https_kib_us, 0.43) \
    X(worker_handshake_us, 513) \
    X(worker_idle_us, 11) \
    X(worker_memory_kib, 7164) \
    X(scheduler_unchanged_us, 0.245) \
    X(scheduler_sent_us, 0.53) \
    X(scheduler_batch_us, 14) \
    X(scheduler_quota_us, 300) \
    X(scheduler_row_bits, 1.8) \
    X(scheduler_memory_kib, 2206) \
    X(state_row_bytes, 88) \
    X(spool_record_bytes, 73) \
    X(redis_batch_us, 64) \
    X(redis_kib_us, 1.68) \
    X(redis_quota_us, 349) \
    X(redis_worker_us, 21) \
    X(redis_permit_us, 47) \
    X(redis_results_us, 0.4) \
    X(redis_ask_us, 28) \
    X(redis_wait_us, 9) \
    X(redis_queued_bytes, 1353) \
    X(redis_token_bytes, 116) \
    X(redis_quota_bytes, 2595) \
    X(redis_memory_kib, 1178) \
    X(redis_batch_net_bytes, 1422) \
    X(payload_body_ratio, 0.185)
/* clang-format on */

#endif
